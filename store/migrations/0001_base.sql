-- What is fixed for the life of a database, such as the storage it uses.
CREATE TABLE natrail.setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- One row per stream (a partition of a topic of a bus): the next offset to take, and what was taken so far.
-- Rows are moved in the transaction that stores the events, and only from the position the consumer believes in.
CREATE TABLE natrail.stream (
    id           int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bus          text        NOT NULL,
    topic        text        NOT NULL,
    partition    int4        NOT NULL,
    next_offset  int8        NOT NULL DEFAULT -1,
    frames       int8        NOT NULL DEFAULT 0,
    datagrams    int8        NOT NULL DEFAULT 0,
    events       int8        NOT NULL DEFAULT 0,
    ignored      int8        NOT NULL DEFAULT 0,
    dead_letters int8        NOT NULL DEFAULT 0,
    bad_frames   int8        NOT NULL DEFAULT 0,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (bus, topic, partition)
);
