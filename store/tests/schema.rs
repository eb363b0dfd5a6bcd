//! Migrations: twice, at once, altered, newer, beside cgn-ec's tables; and what the views look like.

mod common;

use common::{database, run};
use harness::database::Database;
use store::{Storage, connect, migrate};

#[test]
fn both_storages_migrate_once_and_stay() {
    run(async {
        for storage in [Storage::Timescale, Storage::Native] {
            let (_database, mut client) = database("schema", storage).await;
            let again = migrate::migrate(&mut client, None).await.expect("again");
            assert_eq!(
                (again.storage, again.applied.len(), again.from),
                (storage, 0, migrate::newest())
            );
            let other = if storage == Storage::Native {
                Storage::Timescale
            } else {
                Storage::Native
            };
            let error = migrate::migrate(&mut client, Some(other))
                .await
                .expect_err("another storage")
                .to_string();
            assert!(error.contains("cannot be changed"), "{error}");
        }
    });
}

#[test]
fn a_new_database_takes_timescale_where_the_server_has_it() {
    run(async {
        let database = Database::new("detect").expect("a database");
        let mut client = connect::connect(&database.url()).await.expect("connected");
        let report = migrate::migrate(&mut client, None).await.expect("migrated");
        let loaded = common::count(&client, "pg_settings WHERE name = 'timescaledb.license'").await == 1;
        assert_eq!(report.storage == Storage::Timescale, loaded, "{report:?}");
        assert_eq!(report.note.is_none(), loaded, "{report:?}");
    });
}

#[test]
fn many_programs_may_migrate_at_once() {
    run(async {
        let database = Database::new("at_once").expect("a database");
        let all = (0..6).map(|_| {
            let url = database.url();
            tokio::spawn(async move {
                let mut client = connect::connect(&url).await.expect("connected");
                migrate::migrate(&mut client, None)
                    .await
                    .expect("migrated")
                    .applied
                    .len()
            })
        });
        let mut applied = Vec::new();
        for one in all.collect::<Vec<_>>() {
            applied.push(one.await.expect("ran"));
        }
        applied.sort_unstable();
        assert_eq!(applied[..5], [0; 5]);
        let client = connect::connect(&database.url()).await.expect("connected");
        let steps = migrate::applied(&client).await.expect("steps");
        assert_eq!(applied[5], steps.len());
        assert_eq!(steps.last().map(|last| last.version), Some(migrate::newest()));
    });
}

#[test]
fn an_altered_step_and_a_newer_database_are_refused() {
    run(async {
        let (_database, mut client) = database("refuse", Storage::Native).await;
        client
            .batch_execute("UPDATE natrail.migration SET checksum = 'x' WHERE version = 2")
            .await
            .expect("altered");
        let error = migrate::migrate(&mut client, None)
            .await
            .expect_err("altered")
            .to_string();
        assert!(error.contains("0002_events"), "{error}");
        client
            .batch_execute(
                "INSERT INTO natrail.migration (version, name, checksum) VALUES (999, 'later', 'y')",
            )
            .await
            .expect("later");
        let error = migrate::migrate(&mut client, None)
            .await
            .expect_err("newer")
            .to_string();
        assert!(error.contains("999"), "{error}");
        let error = migrate::require_current(&client)
            .await
            .expect_err("newer")
            .to_string();
        assert!(error.contains("999"), "{error}");
    });
}

#[test]
fn tables_of_cgn_ec_are_not_touched() {
    run(async {
        let database = Database::new("cgnec").expect("a database");
        let mut client = connect::connect(&database.url()).await.expect("connected");
        client
            .batch_execute("CREATE TABLE public.port_mapping (x int)")
            .await
            .expect("a table");
        let error = migrate::migrate(&mut client, Some(Storage::Native))
            .await
            .expect_err("in the way")
            .to_string();
        assert!(
            error.contains("public.port_mapping") && error.contains("SET SCHEMA cgn_ec"),
            "{error}"
        );
        client
            .batch_execute("CREATE SCHEMA cgn_ec; ALTER TABLE public.port_mapping SET SCHEMA cgn_ec")
            .await
            .expect("moved");
        migrate::migrate(&mut client, None)
            .await
            .expect("migrated as the message says");
    });
}

#[test]
fn views_have_the_columns_of_cgn_ec() {
    let session = "timestamp timestamp with time zone, host inet, event integer, vrf_id character varying, \
                   protocol smallint, src_ip inet, src_port integer, x_ip inet, x_port integer, dst_ip inet, dst_port integer";
    let address = "timestamp timestamp with time zone, host inet, event smallint, vrf_id character varying, \
                   src_ip inet, x_ip inet";
    let port = "timestamp timestamp with time zone, host inet, event smallint, vrf_id character varying, \
                protocol smallint, src_ip inet, src_port integer, x_ip inet, x_port integer";
    let block = "timestamp timestamp with time zone, host inet, event smallint, vrf_id character varying, \
                 src_ip inet, x_ip inet, start_port integer, end_port integer";
    run(async {
        let (_database, client) = database("views", Storage::Native).await;
        for (view, wanted) in [
            ("session_mapping", session),
            ("address_mapping", address),
            ("port_mapping", port),
            ("port_block_mapping", block),
        ] {
            let row = client
                .query_one(
                    "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position)
                     FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1",
                    &[&view],
                )
                .await
                .expect("columns");
            assert_eq!(row.get::<_, String>(0), wanted, "{view}");
        }
    });
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    run(async {
        let url = "postgresql://natrail:secret@127.0.0.1:1/nowhere";
        let error = connect::connect(url).await.expect_err("nobody there").to_string();
        assert!(
            error.contains("nowhere at 127.0.0.1:1 as natrail") && error.contains("NATRAIL_DATABASE_URL"),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
        let error = connect::connect("postgresql://h:x/")
            .await
            .expect_err("no port")
            .to_string();
        assert!(error.contains("connection string"), "{error}");
    });
}
