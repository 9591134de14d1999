-- One database per role; its owner, and no other role, can connect to it.
SELECT format('CREATE DATABASE %I OWNER %I', name, name)
FROM unnest(ARRAY['airflow', 'mlflow', 'penguins']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- PostgreSQL lets everyone connect to every database unless told otherwise.
REVOKE CONNECT, TEMPORARY ON DATABASE airflow, mlflow, penguins, postgres, template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE airflow TO airflow;
GRANT CONNECT, TEMPORARY ON DATABASE mlflow TO mlflow;
GRANT CONNECT, TEMPORARY ON DATABASE penguins TO penguins;
