"""The services of the demo and of the tests on one machine: PostgreSQL, Alluxio, Airflow, and the jars they need."""
