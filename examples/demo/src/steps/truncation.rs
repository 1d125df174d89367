//! Step 3: a datagram larger than the buffer is reported truncated, one that
//! fits exactly is not.

use coap_lite::RequestType;

use crate::client::{Client, Reply};
use crate::coap;
use crate::life::Life;
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure};
use crate::vtable_client::Received;

pub fn play(life: &mut Life) -> Outcome {
    let client = life.client()?;
    // The same request three times; only the size of the buffer differs.
    let whole = ask(client, coap::MAX_DATAGRAM)?;
    let Received::Whole(length) = whole.fitted else {
        let expected = format!("a reply of at most {} B", coap::MAX_DATAGRAM);
        return Err(Failure::new(expected, format!("{:?}", whole.fitted)));
    };
    let exact = ask(client, length)?;
    ensure(
        exact.fitted == Received::Whole(length),
        format!("{length} B whole in a buffer of {length} B"),
        format!("{:?}", exact.fitted),
    )?;
    let short = ask(client, length - 1)?;
    if let Received::Truncated(_) = short.fitted {
        client.tally.cut_off += 1;
    }
    ensure(
        short.fitted == Received::Truncated(length - 1),
        format!("EMSGSIZE and {} B of {length} B", length - 1),
        format!("{:?}", short.fitted),
    )?;
    let kept = whole.message.payload.len().saturating_sub(1);
    ensure(
        short.message.payload == whole.message.payload[..kept],
        "the buffer filled with the datagram's start",
        "other bytes",
    )?;
    let detail = format!(
        "{length} B into {length} B: whole; into {} B: EMSGSIZE with {} B delivered",
        length - 1,
        length - 1
    );
    Ok(Done::held(detail).fact("datagram_bytes", length))
}

fn ask(client: &mut Client, capacity: usize) -> Result<Reply, Failure> {
    let request = coap::request(RequestType::Get, "/.well-known/core", &[]);
    client
        .exchange(request, capacity)
        .or_fail(format!("a reply into a buffer of {capacity} B"))
}
