-- The tables of cgn-ec as views: same names, columns, order and types, so that its API, dashboards and SQL keep working.

CREATE VIEW public.session_mapping AS
SELECT ts AS "timestamp",
       COALESCE(exporter6, '0.0.0.0'::inet + exporter) AS host,
       event::integer AS event,
       vrf::varchar AS vrf_id,
       protocol,
       COALESCE(src_ip6, '0.0.0.0'::inet + src_ip) AS src_ip,
       src_port,
       COALESCE(x_ip6, '0.0.0.0'::inet + x_ip) AS x_ip,
       x_port,
       COALESCE(dst_ip6, '0.0.0.0'::inet + dst_ip) AS dst_ip,
       dst_port
FROM natrail.session;

CREATE VIEW public.address_mapping AS
SELECT ts AS "timestamp",
       COALESCE(exporter6, '0.0.0.0'::inet + exporter) AS host,
       event,
       vrf::varchar AS vrf_id,
       COALESCE(src_ip6, '0.0.0.0'::inet + src_ip) AS src_ip,
       COALESCE(x_ip6, '0.0.0.0'::inet + x_ip) AS x_ip
FROM natrail.address;

CREATE VIEW public.port_mapping AS
SELECT ts AS "timestamp",
       COALESCE(exporter6, '0.0.0.0'::inet + exporter) AS host,
       event,
       vrf::varchar AS vrf_id,
       protocol,
       COALESCE(src_ip6, '0.0.0.0'::inet + src_ip) AS src_ip,
       src_port,
       COALESCE(x_ip6, '0.0.0.0'::inet + x_ip) AS x_ip,
       x_port
FROM natrail.port;

CREATE VIEW public.port_block_mapping AS
SELECT ts AS "timestamp",
       COALESCE(exporter6, '0.0.0.0'::inet + exporter) AS host,
       event,
       vrf::varchar AS vrf_id,
       COALESCE(src_ip6, '0.0.0.0'::inet + src_ip) AS src_ip,
       COALESCE(x_ip6, '0.0.0.0'::inet + x_ip) AS x_ip,
       start_port,
       end_port
FROM natrail.block;
