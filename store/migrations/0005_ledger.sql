-- A collector from its start to its end. `ended` is null until it has said that it ends; one that stays silent without was killed.
CREATE TABLE natrail.ledger_life (
    -- Random number, unsigned: int8 holds its bits. 0 is no life: consumers count under it.
    life           int8        PRIMARY KEY,
    host           text        NOT NULL,
    started        timestamptz NOT NULL,
    heard          timestamptz NOT NULL,
    ended          timestamptz,
    has_xdp        bool        NOT NULL,
    -- Most datagrams that can wait in its sockets and rings.
    hold_max       int8        NOT NULL,
    -- By how much its last counts may differ since they cannot be read at one moment.
    skew_interface int8        NOT NULL,
    skew_sockets   int8        NOT NULL,
    -- Frames that the bus had not acknowledged.
    waiting_frames int8        NOT NULL
);

-- In which cell how many datagrams are, by minute and exporter. Cells of interfaces and sockets have the minute in which
-- they were read, all others that of the datagrams' receive time. Rows are added to in the transaction that stores the events.
CREATE TABLE natrail.ledger (
    minute   timestamptz NOT NULL,
    life     int8        NOT NULL,
    -- `::`: not told apart.
    exporter inet        NOT NULL,
    cell     text        NOT NULL,
    count    int8        NOT NULL,
    PRIMARY KEY (minute, life, exporter, cell)
) WITH (fillfactor = 70);

-- Cells of one life, over all its minutes.
CREATE INDEX ledger_life_cells ON natrail.ledger (life) WHERE exporter = '::' AND life <> 0;
