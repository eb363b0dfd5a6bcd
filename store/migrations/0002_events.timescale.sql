-- Days as chunks, aligned to UTC days. No index on ts alone: BRIN has it.
SELECT create_hypertable('natrail.session', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
SELECT create_hypertable('natrail.port', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
SELECT create_hypertable('natrail.block', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
SELECT create_hypertable('natrail.address', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
