-- The events, one table per kind. Columns: docs/schema.md.
--
-- IPv4 addresses are numbers (int8), IPv6 addresses are in the columns ending in 6: an inet column makes COPY several
-- times slower. Wide columns first: no padding. No unique key and no B-tree: exactly-once is the offset fence's work, and
-- B-tree maintenance costs more than the rows. The comment before each semicolon is code where partitions are native.

-- One translated session, with its remote end.
CREATE TABLE natrail.session (
    ts            timestamptz NOT NULL,
    received      timestamptz NOT NULL,
    device_ts     timestamptz,
    mapping_start timestamptz,
    exporter      int8,
    src_ip        int8,
    x_ip          int8,
    dst_ip        int8,
    frame_offset  int8 NOT NULL,
    stream        int4 NOT NULL,
    frame_index   int4 NOT NULL,
    src_port      int4,
    x_port        int4,
    dst_port      int4,
    event         int2 NOT NULL,
    protocol      int2,
    time_source   int2 NOT NULL,
    exporter6     inet,
    src_ip6       inet,
    x_ip6         inet,
    dst_ip6       inet,
    vrf           text,
    subscriber    text
)/* PARTITION BY RANGE (ts) */;

-- Inside address and port to outside address and port. The remote end, if a device names one, is extra.
CREATE TABLE natrail.port (
    ts            timestamptz NOT NULL,
    received      timestamptz NOT NULL,
    device_ts     timestamptz,
    mapping_start timestamptz,
    exporter      int8,
    src_ip        int8,
    x_ip          int8,
    dst_ip        int8,
    frame_offset  int8 NOT NULL,
    stream        int4 NOT NULL,
    frame_index   int4 NOT NULL,
    src_port      int4,
    x_port        int4,
    dst_port      int4,
    event         int2 NOT NULL,
    protocol      int2,
    time_source   int2 NOT NULL,
    exporter6     inet,
    src_ip6       inet,
    x_ip6         inet,
    dst_ip6       inet,
    vrf           text,
    subscriber    text
)/* PARTITION BY RANGE (ts) */;

-- A range of outside ports given to one inside address; with port_step: start, start+step, … up to end.
CREATE TABLE natrail.block (
    ts            timestamptz NOT NULL,
    received      timestamptz NOT NULL,
    device_ts     timestamptz,
    mapping_start timestamptz,
    exporter      int8,
    src_ip        int8,
    x_ip          int8,
    frame_offset  int8 NOT NULL,
    stream        int4 NOT NULL,
    frame_index   int4 NOT NULL,
    start_port    int4,
    end_port      int4,
    port_step     int4,
    event         int2 NOT NULL,
    protocol      int2,
    time_source   int2 NOT NULL,
    exporter6     inet,
    src_ip6       inet,
    x_ip6         inet,
    vrf           text,
    subscriber    text
)/* PARTITION BY RANGE (ts) */;

-- One to one, without ports.
CREATE TABLE natrail.address (
    ts            timestamptz NOT NULL,
    received      timestamptz NOT NULL,
    device_ts     timestamptz,
    mapping_start timestamptz,
    exporter      int8,
    src_ip        int8,
    x_ip          int8,
    frame_offset  int8 NOT NULL,
    stream        int4 NOT NULL,
    frame_index   int4 NOT NULL,
    event         int2 NOT NULL,
    protocol      int2,
    time_source   int2 NOT NULL,
    exporter6     inet,
    src_ip6       inet,
    x_ip6         inet,
    vrf           text,
    subscriber    text
)/* PARTITION BY RANGE (ts) */;

-- Each batch is a run sorted by (x_ip, x_port, ts): small block ranges find a key in it.
CREATE INDEX session_brin ON natrail.session USING brin (x_ip, x_ip6 inet_minmax_ops, x_port, ts) WITH (pages_per_range = 32);
CREATE INDEX port_brin ON natrail.port USING brin (x_ip, x_ip6 inet_minmax_ops, x_port, ts) WITH (pages_per_range = 32);
CREATE INDEX block_brin ON natrail.block USING brin (x_ip, x_ip6 inet_minmax_ops, ts) WITH (pages_per_range = 32);
CREATE INDEX address_brin ON natrail.address USING brin (x_ip, x_ip6 inet_minmax_ops, ts) WITH (pages_per_range = 32);
