-- Templates of NetFlow v9 and IPFIX, without which their records cannot be read. Written in the transaction that moves the
-- stream past the frame that brought them.
CREATE TABLE natrail.template (
    exporter inet        NOT NULL,
    -- 9 or 10.
    version  int2        NOT NULL,
    -- Observation domain, source id: unsigned.
    domain   int8        NOT NULL,
    id       int4        NOT NULL,
    options  bool        NOT NULL,
    -- As it came, from its id on.
    wire     bytea       NOT NULL,
    -- Receive time of the datagram that brought it.
    updated  timestamptz NOT NULL,
    PRIMARY KEY (exporter, version, domain, id)
);

-- Data sets that came before their template and wait for it: taken from the bus, and in no table of events yet. Rows come
-- and go in the transactions that move the stream.
CREATE TABLE natrail.parked_set (
    stream       int4  NOT NULL REFERENCES natrail.stream ON DELETE CASCADE,
    -- Where its datagram is: frame, and place in the frame.
    frame_offset int8  NOT NULL,
    datagram     int4  NOT NULL,
    -- Of the datagram's sets that wait.
    ordinal      int4  NOT NULL,
    exporter     inet  NOT NULL,
    -- ns since 1970.
    received_ns  int8  NOT NULL,
    -- `frame_index` of the datagram's next event.
    next_index   int4  NOT NULL,
    -- Bits: 1 the datagram is counted in another cell than `parked`, 2 it is a dead letter, 4 it has given events.
    state        int2  NOT NULL,
    -- Of the message's header; unsigned.
    version      int2  NOT NULL,
    domain       int8  NOT NULL,
    export_s     int8  NOT NULL,
    uptime_ms    int8,
    sequence     int8  NOT NULL,
    set_id       int4  NOT NULL,
    octets       bytea NOT NULL,
    PRIMARY KEY (stream, frame_offset, datagram, ordinal)
);
