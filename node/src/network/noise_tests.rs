use futures::io::Cursor;
use libp2p::identity::Keypair;
use proptest::prelude::*;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::*;

fn config(node: u8) -> (NodeId, Config) {
    let keys = Keypair::ed25519_from_bytes([node; 32]).unwrap();
    let id = NodeId(keys.public().try_into_ed25519().unwrap().to_bytes());
    (id, Config::new(&keys).unwrap())
}

type Pipe = Compat<tokio::io::DuplexStream>;
type Shaken = Result<(NodeId, Sealed<Pipe>), NoiseError>;

async fn shake(dialer: &Config, listener: &Config, room: usize) -> (Shaken, Shaken) {
    let (a, b) = tokio::io::duplex(room);
    futures::join!(dialer.dial(a.compat()), listener.listen(b.compat()))
}

/// Both ends of a session, without a connection.
fn sessions() -> (snow::TransportState, snow::TransportState) {
    let pair = builder().unwrap().generate_keypair().unwrap();
    let start = || builder().unwrap().local_private_key(&pair.private).unwrap();
    let mut dialer = start().build_initiator().unwrap();
    let mut listener = start().build_responder().unwrap();
    let (mut message, mut payload) = ([0; 256], [0; 256]);
    for _ in 0..3 {
        let length = dialer.write_message(&[], &mut message).unwrap();
        listener.read_message(&message[..length], &mut payload).unwrap();
        (dialer, listener) = (listener, dialer);
    }
    // An odd number of messages: they stand the other way round now.
    (listener.into_transport_mode().unwrap(), dialer.into_transport_mode().unwrap())
}

/// What is sent where each piece is flushed, as it is on the wire.
async fn sealed(session: snow::TransportState, pieces: &[&[u8]]) -> Vec<u8> {
    let mut sealed = Sealed::new(Cursor::new(Vec::new()), session);
    for piece in pieces {
        sealed.write_all(piece).await.unwrap();
        sealed.flush().await.unwrap();
    }
    sealed.socket.into_inner()
}

/// What is read until the end, and how it ended.
async fn opened(session: snow::TransportState, wire: Vec<u8>) -> (Vec<u8>, io::Result<()>) {
    let mut sealed = Sealed::new(Cursor::new(wire), session);
    let (mut all, mut some) = (Vec::new(), [0; 100]);
    loop {
        match sealed.read(&mut some).await {
            Ok(0) => return (all, Ok(())),
            Ok(length) => all.extend_from_slice(&some[..length]),
            Err(error) => return (all, Err(error)),
        }
    }
}

#[tokio::test]
async fn both_sides_know_each_other_afterwards() {
    let ((id1, one), (id2, two)) = (config(1), config(2));
    // A pipe narrower than any message of the handshake.
    let (dialed, listened) = shake(&one, &two, 7).await;
    assert_eq!((dialed.unwrap().0, listened.unwrap().0), (id2, id1));
}

#[tokio::test]
async fn nobody_passes_for_another() {
    let ((_, honest), (victim, _), (_, mut liar)) = (config(1), config(2), config(3));
    // An id that the signature isn't of, and a proof that somebody else sent once.
    let (_, theirs) = config(2);
    let own = [&victim.0[..], &liar.proof[32..]].concat();
    for proof in [own, theirs.proof, vec![0; IDENTITY]] {
        liar.proof = proof;
        let (dialed, _) = shake(&honest, &liar, 1000).await;
        assert!(dialed.is_err());
        let (_, listened) = shake(&liar, &honest, 1000).await;
        assert!(listened.is_err());
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let (_, config) = config(1);
    for length in [0, 1, 31, 32, 192, 70_000] {
        let noise = vec![0x5A; length];
        assert!(config.dial(Cursor::new(noise.clone())).await.is_err());
        assert!(config.listen(Cursor::new(noise)).await.is_err());
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_never_read() {
    let pieces: [&[u8]; 4] = [b"first", b"second", b"third", b""];
    let (dialer, listener) = sessions();
    let wire = sealed(dialer, &pieces).await;
    let lengths = pieces.map(|piece| 2 + piece.len() + TAG);
    assert_eq!(wire.len(), lengths[..3].iter().sum::<usize>(), "nothing is sent of nothing");
    assert_eq!(opened(listener, wire).await.0, b"firstsecondthird");

    let changes: [fn(Vec<u8>) -> Vec<u8>; 6] = [
        |mut wire| {
            wire[30] ^= 1;
            wire
        },
        // One is missing, came twice, came in another's place, is cut off, is announced too short.
        |wire| wire[23..].to_vec(),
        |wire| [&wire[..23], &wire].concat(),
        |wire| [&wire[23..47], &wire[..23]].concat(),
        |wire| wire[..40].to_vec(),
        |wire| [&[0, 3], &wire[..]].concat(),
    ];
    for change in changes {
        let (dialer, listener) = sessions();
        let (read, end) = opened(listener, change(sealed(dialer, &pieces).await)).await;
        assert!(b"firstsecondthird".starts_with(&read), "{read:?}");
        assert!(end.is_err());
    }
}

#[tokio::test]
async fn who_says_little_is_kept_little_memory_for() {
    let (dialer, listener) = sessions();
    let (a, b) = tokio::io::duplex(1 << 20);
    let mut writer = Sealed::new(a.compat(), dialer);
    let mut reader = Sealed::new(b.compat(), listener);
    let large = vec![7; 1 << 20];
    let mut read = vec![0; large.len()];
    let sent = async {
        writer.write_all(&large).await.unwrap();
        writer.flush().await.unwrap();
    };
    futures::join!(sent, async { reader.read_exact(&mut read).await.unwrap() });
    assert_eq!(read, large);
    assert!(reader.incoming.bytes.len() >= MAX_READ / 2, "{}", reader.incoming.bytes.len());
    for _ in 0..20 {
        writer.write_all(b"a word").await.unwrap();
        writer.flush().await.unwrap();
        reader.read_exact(&mut read[..6]).await.unwrap();
    }
    let held = |ends: &Sealed<Pipe>| {
        let buffers = [&ends.plain, &ends.outgoing, &ends.incoming, &ends.opened];
        buffers.iter().map(|buffer| buffer.bytes.len()).sum::<usize>()
    };
    assert!(held(&writer) + held(&reader) < 8 * MIN_READ, "{} {}", held(&writer), held(&reader));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the pieces, the flushes and the width of the pipe, the same bytes come out, and keys change on the way.
    #[test]
    fn all_arrives_as_it_was_sent(
        pieces in prop::collection::vec((0_usize..150_000, any::<bool>()), 0..24),
        room in 1_usize..300_000,
        reads in 1_usize..200_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected: Vec<u8> = pieces
            .iter()
            .enumerate()
            .flat_map(|(n, (length, _))| (0..*length).map(move |at| (n + at) as u8))
            .collect();
        let came = runtime.block_on(async {
            let (dialer, listener) = sessions();
            let (a, b) = tokio::io::duplex(room.max(64));
            let mut writer = Sealed::new(a.compat(), dialer);
            let mut reader = Sealed::new(b.compat(), listener);
            let sending = async {
                let mut rest = &expected[..];
                for (length, flush) in &pieces {
                    let (piece, others) = rest.split_at(*length);
                    writer.write_all(piece).await.unwrap();
                    if *flush {
                        writer.flush().await.unwrap();
                    }
                    rest = others;
                }
                writer.close().await.unwrap();
            };
            let reading = async {
                let (mut all, mut some) = (Vec::new(), vec![0; reads]);
                loop {
                    match reader.read(&mut some).await.unwrap() {
                        0 => return all,
                        length => all.extend_from_slice(&some[..length]),
                    }
                }
            };
            futures::join!(sending, reading).1
        });
        prop_assert_eq!(came.len(), expected.len());
        prop_assert!(came == expected);
    }
}
