//! What went wrong with TLS, in a person's words.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::{UnixTime, pem};
use rustls::{AlertDescription, CertificateError, Error};

/// A certificate that nobody has signed whose certificate lies in the file that was named for that.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} (ssl_ca_certs) does not hold the certificate of the CA that signed the server's; is it another cluster's?",
    crate::text::clean(&.0.display().to_string())
)]
struct NotInFile(PathBuf);

/// The error with the file in it that does not hold who signed the server's certificate, if that is what is wrong.
pub(super) fn naming(error: io::Error, file: Option<&Path>) -> io::Error {
    match (error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()), file) {
        (
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)),
            Some(file),
        ) => io::Error::new(error.kind(), NotInFile(file.to_owned())),
        _ => error,
    }
}

/// The reason that an error of a TLS connection holds, if it is one of TLS.
pub fn explain(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?;
    if let Some(error) = error.downcast_ref::<NotInFile>() {
        return Some(error.to_string());
    }
    let error = error.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(why) => certificate(why),
        Error::AlertReceived(alert) => refusal(*alert),
        Error::InvalidMessage(_) => "it does not speak TLS".into(),
        Error::PeerIncompatible(_) => "it speaks no version of TLS that is safe".into(),
        other => format!("TLS: {other}"),
    })
}

/// The names of a certificate that is good, but not for the host we connect to.
pub fn other_names(error: &io::Error) -> Vec<String> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => {
            presented.iter().map(|name| plain(name)).collect()
        }
        _ => Vec::new(),
    }
}

fn certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody we know; name the CA's file with ssl_ca_certs".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.as_slice() {
                [] => format!("its certificate is for no name, not even {expected}"),
                names => format!("its certificate is for {}, not for {expected}", shown(names)),
            }
        }
        CertificateError::NotValidForName => "its certificate is for another host".into(),
        CertificateError::ExpiredContext { not_after, .. } => format!("its certificate expired on {}", day(*not_after)),
        CertificateError::Expired => "its certificate expired".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is valid from {} only; is the clock right?", day(*not_before))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet; is the clock right?".into(),
        CertificateError::BadSignature => {
            "its certificate is signed by another CA than the one we know by that name (ssl_ca_certs)".into()
        }
        CertificateError::Revoked => "its certificate was revoked".into(),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of a CA, and a server needs one of its own; ssl_cert_reqs = none takes it unverified"
                .into()
        }
        other => format!("its certificate can't be verified: {other}"),
    }
}

/// What the server says in return.
fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of ours: name it with ssl_certfile and ssl_keyfile".into()
        }
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept our certificate (ssl_certfile)".into()
        }
        AlertDescription::CertificateExpired => "our certificate expired (ssl_certfile)".into(),
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            "it and we have no way of TLS in common, or it wants a certificate of ours".into()
        }
        other => format!("it ended the handshake: {other:?}"),
    }
}

/// `DnsName("cache-1")` as `cache-1`.
fn plain(name: &str) -> String {
    match name.split_once("(\"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((name, _)) => name.to_owned(),
        None => name.to_owned(),
    }
}

/// Names, and not too many of them.
fn shown(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(3).map(|name| crate::text::clean(&plain(name)).to_string()).collect();
    let more = if names.len() > 3 { " and others" } else { "" };
    format!("{}{more}", first.join(", "))
}

fn day(at: UnixTime) -> String {
    let secs = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(secs)
        .map_or_else(|_| "a day far away".into(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// Why a file in PEM can't be read.
pub(super) fn of_file(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
        pem::Error::NoItemsFound => "there is none in it".into(),
        other => format!("it is not in PEM: {other}"),
    }
}
