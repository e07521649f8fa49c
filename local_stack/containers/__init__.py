"""What runs inside the containers of docker-compose.yaml: each writes its own configuration and becomes its server."""
