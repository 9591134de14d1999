-- Return the version that has changed the databases, if it is newer than :version.
SET search_path = pg_catalog, pg_temp;

SELECT substring(found FROM '^penguins (.+)$')
FROM pg_database, shobj_description(oid, 'pg_database') AS found
WHERE datname = 'postgres' AND found ~ '^penguins \d+(\.\d+)*$'
    AND string_to_array(substring(found FROM '^penguins (.+)$'), '.')::int[] > string_to_array(:'version', '.')::int[];
