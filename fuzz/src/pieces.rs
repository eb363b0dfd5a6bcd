//! Messages out of the words that a vendor's messages are made of.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Most pieces of a message.
const PIECES_MAX: usize = 120;

/// Puts together what the octets ask for: each piece is one of `words`, a number, an address, or octets as they are.
pub fn message(octets: &[u8], words: &[&str]) -> Vec<u8> {
    let mut octets = Unstructured::new(octets);
    let mut message = Vec::new();
    for _ in 0..PIECES_MAX {
        if octets.is_empty() || piece(&mut octets, words, &mut message).is_err() {
            break;
        }
    }
    message
}

fn piece(octets: &mut Unstructured<'_>, words: &[&str], message: &mut Vec<u8>) -> Result<()> {
    let text = match u8::arbitrary(octets)? {
        kind @ ..160 => words[usize::from(kind) % words.len()].to_owned(),
        160..190 => u16::arbitrary(octets)?.to_string(),
        190..200 => u64::arbitrary(octets)?.to_string(),
        200..230 => std::net::Ipv4Addr::from(<[u8; 4]>::arbitrary(octets)?).to_string(),
        230..240 => std::net::Ipv6Addr::from(<[u8; 16]>::arbitrary(octets)?).to_string(),
        _ => {
            message.push(u8::arbitrary(octets)?);
            return Ok(());
        }
    };
    message.extend_from_slice(text.as_bytes());
    Ok(())
}
