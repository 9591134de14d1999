-- Return what upgrades have done that nobody was told of. `make up` and `make compose-up` run it.
SET search_path = pg_catalog, pg_temp;
UPDATE public.upgrades SET told_at = now() WHERE completed_at IS NOT NULL AND told_at IS NULL RETURNING done
