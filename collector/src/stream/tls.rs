//! Certificates and keys of the TLS listeners (RFC 5425, with the TLS versions 1.2 and 1.3), read at the start and on reload.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use config::TlsFiles;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// a file that cannot be read
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// not PEM, or without what is looked for
    #[error("{path} holds no {what} in PEM: {source}")]
    Pem {
        path: PathBuf,
        what: &'static str,
        source: pem::Error,
    },
    /// certificate and key that cannot serve TLS, each or together
    #[error("{certificate} and {key} cannot be used together: {source}")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    /// a CA certificate that cannot be used
    #[error("{path} holds no usable CA certificate: {reason}")]
    ClientCa { path: PathBuf, reason: String },
    /// the TLS library refuses
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What a TLS listener shows to new connections; replaced on reload, while those that are open keep what they have.
#[derive(Debug)]
pub struct Identity(Mutex<Arc<ServerConfig>>);

impl Identity {
    pub fn load(files: TlsFiles<'_>) -> Result<Self, TlsError> {
        Ok(Self(Mutex::new(read(files)?)))
    }

    /// Reads the files again. If they cannot be used, what was in force stays.
    pub fn reload(&self, files: TlsFiles<'_>) -> Result<(), TlsError> {
        let fresh = read(files)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The server's side of a new connection.
    pub fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(files: TlsFiles<'_>) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(files.key)?).map_err(|source| TlsError::Pem {
        path: files.key.clone(),
        what: "private key",
        source,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    let builder = match files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let refused = |reason: String| TlsError::ClientCa {
                path: path.clone(),
                reason,
            };
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| refused(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| refused(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|source| TlsError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })?;
    // Peers stay for days: nothing to gain from resuming, and each comes with a certificate that is looked at.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::Pem {
        path: path.into(),
        what: "certificate",
        source,
    };
    let all = CertificateDer::pem_slice_iter(&bytes(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
    if all.is_empty() {
        return Err(error(pem::Error::NoItemsFound));
    }
    Ok(all)
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_and_a_reload_keeps_what_was() {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        let own = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (first, second) = (own(), own());
        let certificate = folder.write("certificate.pem", &first.cert.pem());
        let key = folder.write("key.pem", &first.signing_key.serialize_pem());
        let empty = folder.write("empty.pem", "nothing\n");
        let missing = folder.0.path().join("missing.pem");
        let files = TlsFiles {
            certificate: &certificate,
            key: &key,
            client_ca: None,
        };
        let identity = Identity::load(files).expect("usable");
        for (files, name) in [
            (
                TlsFiles {
                    certificate: &missing,
                    ..files
                },
                "missing.pem",
            ),
            (
                TlsFiles {
                    certificate: &empty,
                    ..files
                },
                "empty.pem",
            ),
            (TlsFiles { key: &empty, ..files }, "private key"),
            (
                TlsFiles {
                    client_ca: Some(&empty),
                    ..files
                },
                "empty.pem",
            ),
        ] {
            let error = identity.reload(files).expect_err(name).to_string();
            assert!(error.contains(name), "{error}");
        }
        folder.write("key.pem", &second.signing_key.serialize_pem());
        let error = identity.reload(files).expect_err("another key").to_string();
        assert!(error.contains("cannot be used together"), "{error}");
        identity.accept().expect("the first pair is still in force");
        folder.write("certificate.pem", &second.cert.pem());
        identity.reload(files).expect("a pair again");
    }
}
