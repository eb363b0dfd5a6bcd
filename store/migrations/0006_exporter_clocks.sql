-- Datagrams of several records that gave events and are a dead letter as well (part of `dead_letters`).
ALTER TABLE natrail.stream
    ADD COLUMN partly int8 NOT NULL DEFAULT 0;

-- How far the clock of each exporter is off, as its newest messages say: no part of the exactly-once protocol.
CREATE TABLE natrail.exporter_clock (
    exporter    inet        PRIMARY KEY,
    skew_us     int8        NOT NULL,
    samples     int4        NOT NULL,
    measured_at timestamptz NOT NULL
);
