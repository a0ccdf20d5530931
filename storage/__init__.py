"""The database room: connections, migrations, named SQL, binary COPY. Only here is psycopg2 known."""
