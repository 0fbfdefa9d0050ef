use futures::{AsyncReadExt, AsyncWriteExt};

use crate::network::place::{Place, connect};
use crate::network::{API, CHUNKS, RENEW};

/// How many streams each of two peers opens at the same moment.
const AT_ONCE: usize = 100;

/// Opens many streams to `to`, and writes a byte to each.
async fn open_many(from: Place, to: &Place) {
    let opening = (0..AT_ONCE).map(|_| async {
        let mut stream = from.network.open(&to.network.me(), CHUNKS).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.close().await.unwrap();
        // The other side closes once it has read.
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
    futures::future::join_all(opening).await;
}

#[tokio::test]
async fn no_stream_is_lost_where_many_come_at_the_same_moment() {
    let (server, first, second) = (Place::new(1).await, Place::new(2).await, Place::new(3).await);
    connect(&first, &server).await;
    connect(&second, &server).await;
    let mut incoming = server.network.accept(CHUNKS);
    let serving = async {
        for _ in 0..2 * AT_ONCE {
            let (_, mut stream) = incoming.recv().await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, b"x");
            stream.close().await.unwrap();
        }
    };
    futures::join!(serving, open_many(first, &server), open_many(second, &server));
}

#[tokio::test]
async fn who_is_not_connected_or_does_not_serve_is_an_error_at_once() {
    let (server, client) = (Place::new(1).await, Place::new(2).await);
    let stranger = client.network.open(&server.network.me(), CHUNKS).await.unwrap_err();
    assert!(stranger.to_string().contains("it is not connected"), "{stranger}");
    connect(&client, &server).await;
    let unserved = client.network.open(&server.network.me(), RENEW).await.unwrap_err();
    assert!(unserved.to_string().contains("it does not serve that"), "{unserved}");
    // Who stopped serving is as one who never did.
    drop(server.network.accept(API));
    let stopped = client.network.open(&server.network.me(), API).await.unwrap_err();
    assert!(stopped.to_string().contains("it does not serve that"), "{stopped}");
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_one_that_was_closed() {
    let (one, other) = (Place::new(1).await, Place::new(2).await);
    let mut incoming = other.network.accept(CHUNKS);
    connect(&one, &other).await;
    one.network.close(other.network.me());
    while one.network.open(&other.network.me(), CHUNKS).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // As long as the other side takes the old connection for alive it dials no new one.
    while one.network.open(&other.network.me(), CHUNKS).await.is_err() {
        connect(&other, &one).await;
        tokio::task::yield_now().await;
    }
    while incoming.try_recv().is_ok() {}
    one.network.open(&other.network.me(), CHUNKS).await.unwrap();
    assert!(incoming.recv().await.is_some());
}
