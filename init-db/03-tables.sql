-- The pipeline's tables. The role penguins runs this script and owns them, so that it can also replace them.
SET search_path = public, pg_temp;
SET client_min_messages = 'warning';

CREATE TABLE IF NOT EXISTS penguins_raw (
    source_row bigint NOT NULL,
    species text,
    island text,
    bill_length_mm double precision,
    bill_depth_mm double precision,
    flipper_length_mm double precision,
    body_mass_g double precision,
    sex text,
    year integer
);

CREATE TABLE IF NOT EXISTS penguins_processed (
    source_row bigint NOT NULL,
    species text NOT NULL,
    label smallint NOT NULL,
    bill_length_mm double precision NOT NULL,
    bill_depth_mm double precision NOT NULL,
    flipper_length_mm double precision NOT NULL,
    body_mass_g double precision NOT NULL,
    island text,
    sex text,
    year integer
);

CREATE TABLE IF NOT EXISTS penguins_rejected (
    source_row bigint NOT NULL,
    task text NOT NULL,
    reason text NOT NULL,
    record jsonb NOT NULL
);

COMMENT ON TABLE penguins_raw IS 'The source as it was loaded last; replaced as a whole by every load';
COMMENT ON COLUMN penguins_raw.source_row IS 'Number of the row in the source, from 1';
COMMENT ON COLUMN penguins_raw.bill_length_mm IS 'Bill length in millimetres';
COMMENT ON COLUMN penguins_raw.bill_depth_mm IS 'Bill depth in millimetres';
COMMENT ON COLUMN penguins_raw.flipper_length_mm IS 'Flipper length in millimetres';
COMMENT ON COLUMN penguins_raw.body_mass_g IS 'Body mass in grams';
COMMENT ON COLUMN penguins_raw.year IS 'Year of the study';

COMMENT ON TABLE penguins_processed IS 'Rows of penguins_raw that the model can learn from';
COMMENT ON COLUMN penguins_processed.source_row IS 'The row of penguins_raw it was made from';
COMMENT ON COLUMN penguins_processed.label IS 'Species as a number, in alphabetical order from 0';
COMMENT ON COLUMN penguins_processed.bill_length_mm IS 'Bill length in millimetres';
COMMENT ON COLUMN penguins_processed.bill_depth_mm IS 'Bill depth in millimetres';
COMMENT ON COLUMN penguins_processed.flipper_length_mm IS 'Flipper length in millimetres';
COMMENT ON COLUMN penguins_processed.body_mass_g IS 'Body mass in grams';

COMMENT ON TABLE penguins_rejected IS 'Rows that break the data contract';
COMMENT ON COLUMN penguins_rejected.source_row IS 'Number of the row in the source, from 1';
COMMENT ON COLUMN penguins_rejected.task IS 'The task that rejected the row';
COMMENT ON COLUMN penguins_rejected.reason IS 'Reason of the rejection, for a person to read';
COMMENT ON COLUMN penguins_rejected.record IS 'The row as it was read';
