-- Print what there is, as JSON: roles, databases of the superuser, and tables with their columns in the database penguins.
SET search_path = pg_catalog, pg_temp;

WITH tables AS (
    SELECT pg_class.oid, nspname AS schema, nspname || '.' || relname AS name
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('audit', 'log', 'monitoring', 'public') AND relkind IN ('r', 'p', 'v') AND NOT relispartition
), found AS (
    SELECT 'role' AS kind, rolname AS name, '' AS of FROM pg_roles
    WHERE rolname IN ('airflow', 'mlflow', 'penguins', 'shipper')
    UNION ALL
    SELECT 'owned', datname, '' FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
    WHERE rolsuper AND datname IN ('airflow', 'mlflow', 'penguins')
    UNION ALL SELECT 'table', name, schema FROM tables
    UNION ALL SELECT 'column', name || '.' || attname, name
    FROM tables JOIN pg_attribute ON attrelid = oid WHERE attnum > 0 AND NOT attisdropped
)
SELECT jsonb_agg(found) FROM found;
