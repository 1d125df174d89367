//! Step 4: go offline in the middle of a block-wise download, come back, go
//! on from where it stopped.

use std::time::{Duration, Instant};

use coap_lite::{CoapOption, Packet, RequestType, ResponseType};

use crate::client::{Client, Reply};
use crate::coap;
use crate::life::Life;
use crate::lwm2m::{Event, FIRMWARE_PATH};
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure, ensure_same};
use crate::server::Server;
use crate::vtable_client::State;

/// Blocks of the embedded server's firmware.
const FIRMWARE_BLOCK: usize = 1024;
/// Any CoAP server has this, and a small block makes several of it.
const FOREIGN_PATH: &str = "/.well-known/core";
const FOREIGN_BLOCK: usize = 32;
/// More than a download of either ever takes.
const MOST_BLOCKS: usize = 4096;

const PATIENCE: Duration = Duration::from_secs(2);
/// "At once", on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_millis(500);

pub fn play(life: &mut Life) -> Outcome {
    match life.server.is_some() {
        true => firmware(life),
        false => foreign(life.client()?),
    }
}

fn firmware(life: &mut Life) -> Outcome {
    let (server, client) = life.server_and_client()?;
    let mut download = Download::new(FIRMWARE_PATH, FIRMWARE_BLOCK);
    let middle = 48;
    while download.next_block < middle {
        download.fetch_next(client)?;
    }
    let noticed = go_offline(server, client, &mut download)?;
    let stopped = come_back(client, &download)?;
    download.finish(client)?;
    ensure_same("SHA-256", &server.firmware_checksum(), &download.checksum())?;
    let detail = format!(
        "offline at {stopped} B, ECONNABORTED in {noticed:.1?}; back on port {}: {} B, SHA-256 {}",
        client.local_port,
        download.bytes.len(),
        &download.checksum()[..12]
    );
    Ok(held(detail, stopped, &download))
}

/// Shuts down while a block is on its way: it is there already, so it must
/// still be delivered; nothing more can come, so nothing may be waited for.
fn go_offline(
    server: &Server,
    client: &mut Client,
    download: &mut Download,
) -> Result<Duration, Failure> {
    let (bytes, id) = client.prepare(download.request()?).or_fail("a request")?;
    client
        .send(&bytes)
        .or_fail("the request for a block sent")?;
    server.wait("the request for a block", |event| match event {
        Event::Served(block) => (block == download.next_block).then_some(()),
        _ => None,
    })?;
    shut_down(client)?;
    let reply = client
        .await_reply(id, coap::MAX_DATAGRAM, PATIENCE)
        .or_fail("the block that came before shutdown is delivered after it")?;
    download.take(&reply)?;
    let started = Instant::now();
    let error = match client.receive(coap::MAX_DATAGRAM, PATIENCE) {
        Err(error) => error.name(),
        Ok(_) => "a datagram",
    };
    let noticed = started.elapsed();
    ensure(
        error == "ECONNABORTED",
        "ECONNABORTED from receive after shutdown",
        error,
    )?;
    ensure(
        noticed < AT_ONCE,
        format!("that within {AT_ONCE:?}"),
        format!("in {noticed:.1?}"),
    )?;
    Ok(noticed)
}

fn foreign(client: &mut Client) -> Outcome {
    let mut whole = Download::new(FOREIGN_PATH, FOREIGN_BLOCK);
    whole.finish(client)?;
    if whole.next_block < 3 {
        let reason = format!(
            "{FOREIGN_PATH} of this server has {} B: no middle",
            whole.bytes.len()
        );
        return Ok(Done::skipped(reason));
    }
    let mut download = Download::new(FOREIGN_PATH, FOREIGN_BLOCK);
    while download.next_block < whole.next_block / 2 {
        download.fetch_next(client)?;
    }
    shut_down(client)?;
    let stopped = come_back(client, &download)?;
    download.finish(client)?;
    ensure_same("SHA-256", &whole.checksum(), &download.checksum())?;
    let detail = format!(
        "{FOREIGN_PATH}: offline at {stopped} B; back on port {}: {} B, as in one go",
        client.local_port,
        download.bytes.len()
    );
    Ok(held(detail, stopped, &download))
}

fn held(detail: String, stopped: usize, download: &Download) -> Done {
    Done::held(detail)
        .fact("offline_after_bytes", stopped)
        .fact("bytes", download.bytes.len())
        .fact("sha256", download.checksum())
}

fn shut_down(client: &Client) -> Result<(), Failure> {
    client.socket.shutdown().or_fail("shutdown")?;
    let state = client.socket.state().or_fail("a state")?;
    ensure(
        state == State::Shutdown,
        "state Shutdown",
        format!("{state:?}"),
    )?;
    let port = client
        .socket
        .local_port()
        .or_fail("a local port after shutdown")?;
    ensure_same("local port after shutdown", &client.local_port, &port)
}

/// Closes, binds and connects again; how much of the download is there.
fn come_back(client: &mut Client, download: &Download) -> Result<usize, Failure> {
    client
        .reopen()
        .or_fail("close, bind to the same port, connect")?;
    let port = client.socket.local_port().or_fail("a local port")?;
    ensure_same("local port", &client.local_port, &port)?;
    Ok(download.bytes.len())
}

/// A block-wise download, as far as it got.
struct Download {
    path: &'static str,
    block_size: usize,
    next_block: usize,
    tag: Option<Vec<u8>>,
    bytes: Vec<u8>,
    complete: bool,
}

impl Download {
    fn new(path: &'static str, block_size: usize) -> Self {
        Self {
            path,
            block_size,
            next_block: 0,
            tag: None,
            bytes: Vec::new(),
            complete: false,
        }
    }

    fn checksum(&self) -> String {
        coap::checksum(&self.bytes)
    }

    fn finish(&mut self, client: &mut Client) -> Result<(), Failure> {
        while !self.complete {
            self.fetch_next(client)?;
        }
        Ok(())
    }

    fn fetch_next(&mut self, client: &mut Client) -> Result<(), Failure> {
        let request = self.request()?;
        let reply = client
            .exchange(request, coap::MAX_DATAGRAM)
            .or_fail(format!("block {} of {}", self.next_block, self.path))?;
        self.take(&reply)
    }

    fn request(&self) -> Result<Packet, Failure> {
        let mut request = coap::request(RequestType::Get, self.path, &[]);
        coap::set_block2(&mut request, self.next_block, false, self.block_size)
            .filter(|()| self.next_block < MOST_BLOCKS)
            .ok_or_else(|| Failure::new(format!("at most {MOST_BLOCKS} blocks"), "more"))?;
        Ok(request)
    }

    fn take(&mut self, reply: &Reply) -> Result<(), Failure> {
        let expected = format!("2.05 with block {} of {}", self.next_block, self.path);
        ensure(
            reply.is(ResponseType::Content),
            expected.clone(),
            reply.code().to_string(),
        )?;
        let tag = reply.message.get_first_option(CoapOption::ETag);
        ensure(
            self.next_block == 0 || tag == self.tag.as_ref(),
            "the same ETag in every block",
            "another one: the resource changed",
        )?;
        self.tag = tag.cloned();
        match coap::block2(&reply.message) {
            Some(block) => {
                let number = usize::from(block.num);
                ensure(
                    number == self.next_block,
                    expected,
                    format!("block {number}"),
                )?;
                self.complete = !block.more;
            }
            // Small enough for one message, so the server left the option out.
            None => self.complete = true,
        }
        self.bytes.extend_from_slice(&reply.message.payload);
        self.next_block += 1;
        Ok(())
    }
}
