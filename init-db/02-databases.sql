-- One database per role, which is the only one that can connect to it, but for the shipper of the prediction log. The
-- superuser owns it: an owner can give a
-- database settings, such as a search_path with operators of its own, that hold for the superuser's sessions as well.
SET search_path = pg_catalog, pg_temp;

SELECT format('CREATE DATABASE %I', name)
FROM unnest(ARRAY['airflow', 'mlflow', 'penguins']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- 00-version.sql looks for it.
SELECT format('COMMENT ON DATABASE postgres IS %L', 'penguins ' || :'version')
\gexec

-- In older stacks the roles owned their databases. None can be logged in while a database's settings are removed, because
-- an open transaction could commit another one afterwards. The owner changes last, so an interrupted run begins again.
SELECT count(*) > 0 AS older
FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE rolname IN ('airflow', 'mlflow', 'penguins')
\gset
\if :older
    ALTER ROLE airflow NOLOGIN;
    ALTER ROLE mlflow NOLOGIN;
    ALTER ROLE penguins NOLOGIN;
    SELECT count(pg_terminate_backend(pid, 10000)) AS ended
    FROM pg_stat_activity WHERE usename IN ('airflow', 'mlflow', 'penguins')
    \gset
    SELECT format('ALTER DATABASE %I RESET ALL', datname), format('ALTER DATABASE %I OWNER TO CURRENT_USER', datname)
    FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE rolname IN ('airflow', 'mlflow', 'penguins')
    \gexec
    ALTER ROLE airflow LOGIN;
    ALTER ROLE mlflow LOGIN;
    ALTER ROLE penguins LOGIN;
\endif

-- PostgreSQL lets everyone connect to every database unless told otherwise.
BEGIN;
REVOKE ALL ON DATABASE airflow, mlflow, penguins, postgres, template1 FROM PUBLIC CASCADE;
REVOKE ALL ON DATABASE airflow, mlflow, penguins FROM airflow, mlflow, penguins, shipper CASCADE;
GRANT CONNECT, TEMPORARY ON DATABASE airflow TO airflow;
GRANT CONNECT, TEMPORARY ON DATABASE mlflow TO mlflow;
GRANT CONNECT, TEMPORARY ON DATABASE penguins TO penguins;
GRANT CONNECT ON DATABASE penguins TO shipper;
COMMIT;
