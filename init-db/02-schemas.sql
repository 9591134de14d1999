-- The schema public of one database, in which :role creates its tables.
SET search_path = pg_catalog, pg_temp;

ALTER SCHEMA public OWNER TO pg_database_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO :"role";
