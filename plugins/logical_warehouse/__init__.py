"""The warehouse's pure core and its Airflow adapter; import the modules, nothing is loaded here."""
