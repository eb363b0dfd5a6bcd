//! What the broker itself says about topics, asked in Kafka's protocol without any client library: a second opinion
//! beside what our own programs count. For one broker, which leads every partition.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 1 << 20;
const DELETE_TOPICS: i16 = 20;
const LIST_OFFSETS: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

/// Number of records ever written to each of the partitions `0..partitions` (the offset of the next one); 0 for a
/// partition that is not there.
pub fn end_offsets(address: &str, topic: &str, partitions: u16) -> Result<Vec<i64>> {
    const LATEST: i64 = -1;
    let mut request = Vec::new();
    request.extend((-1_i32).to_be_bytes()); // replica_id: a client
    request.extend(1_i32.to_be_bytes());
    put_text(&mut request, topic);
    request.extend(i32::from(partitions).to_be_bytes());
    for partition in 0..i32::from(partitions) {
        request.extend(partition.to_be_bytes());
        request.extend(LATEST.to_be_bytes());
    }
    let answer = ask(address, LIST_OFFSETS, 1, &request)?;
    let mut answer = Reader(&answer);
    answer.i32()?; // one topic
    answer.text()?;
    let mut offsets = vec![0; usize::from(partitions)];
    for _ in 0..answer.i32()? {
        let (partition, error) = (answer.i32()?, answer.i16()?);
        let (_timestamp, offset) = (answer.i64()?, answer.i64()?);
        if error == 0 {
            *offsets
                .get_mut(partition as usize)
                .context("a partition that nobody asked for")? = offset;
        } else if error != UNKNOWN_TOPIC_OR_PARTITION {
            bail!("Kafka answers error {error} for {topic}-{partition}");
        }
    }
    Ok(offsets)
}

/// Deletes topics; those that are not there are no error.
pub fn delete_topics(address: &str, topics: &[&str]) -> Result<()> {
    let mut request = Vec::new();
    request.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        put_text(&mut request, topic);
    }
    request.extend((TIMEOUT.as_millis() as i32).to_be_bytes());
    let answer = ask(address, DELETE_TOPICS, 1, &request)?;
    let mut answer = Reader(&answer);
    answer.i32()?; // throttle time
    for _ in 0..answer.i32()? {
        let (topic, error) = (answer.text()?, answer.i16()?);
        if ![0, UNKNOWN_TOPIC_OR_PARTITION].contains(&error) {
            bail!("Kafka answers error {error} to the deletion of {topic}");
        }
    }
    Ok(())
}

/// Whether the broker answers an ApiVersions request (key 18, version 0) without error, within two seconds.
pub fn answers(address: SocketAddr) -> bool {
    ask_api_versions(address).is_ok_and(|error| error == 0)
}

fn ask_api_versions(address: SocketAddr) -> std::io::Result<i16> {
    const CORRELATION: [u8; 4] = *b"natr";
    let timeout = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    // length, api_key, api_version, correlation_id, client_id = null
    let mut request = vec![0, 0, 0, 10, 0, 18, 0, 0];
    request.extend(CORRELATION);
    request.extend([0xff, 0xff]);
    stream.write_all(&request)?;
    // length, correlation_id, error_code
    let mut response = [0; 10];
    stream.read_exact(&mut response)?;
    if response[4..8] != CORRELATION {
        return Err(std::io::Error::other("not a Kafka broker"));
    }
    Ok(i16::from_be_bytes([response[8], response[9]]))
}

/// One request with header version 1; gives back the body of the answer.
fn ask(address: &str, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
    const CORRELATION: i32 = 1;
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(CORRELATION.to_be_bytes());
    put_text(&mut request, "harness");
    request.extend(body);
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("cannot connect to Kafka at {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=ANSWER_BYTES_MAX).contains(&length) {
        bail!("{address} is no Kafka broker: it announces {length} octets");
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

fn put_text(request: &mut Vec<u8>, text: &str) {
    request.extend((text.len() as i16).to_be_bytes());
    request.extend(text.as_bytes());
}

/// Big-endian fields of an answer.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .context("Kafka's answer is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.i16()?;
        Ok(String::from_utf8_lossy(self.take(length.max(0) as usize)?).into_owned())
    }
}
