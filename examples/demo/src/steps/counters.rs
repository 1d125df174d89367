//! Step 8: the bytes that the option keys report are those that the server
//! counted.

use crate::life::Life;
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure, ensure_same};
use crate::vtable_client::Socket;

pub fn play(life: &mut Life) -> Outcome {
    if life.tcp.is_some() {
        return over_tcp(life);
    }
    let client = life.client()?;
    // Traffic to count like any other. What the reply says is not judged: after
    // an outage that went wrong the server knows of no registration.
    client
        .deregister()
        .or_fail("a reply to the deregistration")?;
    let tally = client.tally;
    let (sent, received) = options(&client.socket)?;
    let whose = match &life.server {
        Some(server) => {
            // Datagrams to a dead server were sent but never counted there;
            // the end of a truncated one was counted there but never delivered.
            ensure_same("bytes sent", &(server.received() + tally.unheard), &sent)?;
            ensure_same(
                "bytes received",
                &(server.sent() - tally.cut_off),
                &received,
            )?;
            "the server"
        }
        None => {
            ensure_same("bytes sent", &tally.sent, &sent)?;
            ensure_same("bytes received", &tally.received, &received)?;
            "the demo (not the server)"
        }
    };
    let mut detail = format!(
        "as {whose} counted: UDP {sent} B sent ({} to nobody), {received} B received ({} more cut off)",
        tally.unheard, tally.cut_off
    );
    let mut done_facts = vec![("udp_sent", sent), ("udp_received", received)];
    if let Some((summary, socket)) = &life.stream {
        ensure_same("TCP bytes sent", &summary.received, &socket.sent)?;
        ensure_same("TCP bytes received", &summary.sent, &socket.received)?;
        detail += &format!("; TCP {} B, {} B", socket.sent, socket.received);
        done_facts.extend([("tcp_sent", socket.sent), ("tcp_received", socket.received)]);
    }
    ensure(sent > 0 && received > 0, "bytes both ways", "none")?;
    Ok(done_facts
        .into_iter()
        .fold(Done::held(detail), |done, (name, value)| {
            done.fact(name, value)
        }))
}

fn over_tcp(life: &mut Life) -> Outcome {
    let Some(tcp) = &mut life.tcp else {
        return Ok(Done::skipped("there is no connection"));
    };
    tcp.deregister()?;
    let (sent, received) = options(&tcp.socket)?;
    ensure_same("bytes sent", &tcp.sent, &sent)?;
    ensure_same("bytes received", &tcp.received, &received)?;
    let detail =
        format!("as the demo (not the server) counted: TCP sent {sent} B, received {received} B");
    Ok(Done::held(detail)
        .fact("tcp_sent", sent)
        .fact("tcp_received", received))
}

fn options(socket: &Socket) -> Result<(u64, u64), Failure> {
    let sent = socket.bytes_sent().or_fail("a sent counter")?;
    let received = socket.bytes_received().or_fail("a received counter")?;
    Ok((sent, received))
}
