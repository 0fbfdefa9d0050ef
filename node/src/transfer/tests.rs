//! Fetches between nodes in this process, over real connections, from honest peers and others.

mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use weft_protocol::content::{ChunkRef, Manifest};
use weft_protocol::ids::{BlobId, ChunkId, NodeId};
use weft_protocol::wire::transfer::{MAX_REPLY, Reply, Request};
use weft_store::Store;

use self::peer::{Behaviour, Peer, bytes_of};
use super::{Fetcher, Traffic, serve};
use crate::network::place::{Place, connect};
use crate::network::{CHUNKS, frames};

/// How long an honest peer takes for each chunk: all of them together are slower than this
/// machine, so that what a bad one costs is not lost in what the machine does.
const EACH: Duration = Duration::from_millis(30);
/// How much longer a fetch may take with peers that do harm.
const LONGER: u32 = 2;
/// How often it may be tried: this machine may have had something else to do.
const TRIES: usize = 3;
/// How long what takes seconds may take on a machine that has much else to do.
const AT_LAST: Duration = Duration::from_secs(120);

/// A node with a store of its own, that fetches and serves.
struct Node {
    place: Place,
    store: Arc<Store>,
    fetcher: Fetcher,
    _folder: tempfile::TempDir,
}

impl Node {
    async fn new(number: u8) -> Self {
        let place = Place::new(number).await;
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let traffic = Traffic::default();
        let fetcher = Fetcher::new(place.network.clone(), Arc::clone(&store), traffic.clone());
        tokio::spawn(serve(place.network.clone(), Arc::clone(&store), traffic));
        Self { place, store, fetcher, _folder: folder }
    }

    /// Collects until a blob that nobody pinned has gone: nobody holds it for ever.
    async fn collects(&self, blob: BlobId) {
        let begun = Instant::now();
        while self.store.has(blob).unwrap() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is held for ever");
            self.store.collect(Duration::ZERO, false).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn received(&self) -> u64 {
        self.fetcher.traffic.totals().1
    }

    /// Adds a blob of so many chunks of some bytes each, a hundred of them different: no file is cut like that, but a
    /// manifest may say so.
    fn add_in_tiny_chunks(&self, seed: u8, count: usize) -> BlobId {
        let bytes: Vec<u8> = bytes_of(seed, 400).into_iter().cycle().take(4 * count).collect();
        let chunk =
            |bytes: &[u8]| ChunkRef { id: ChunkId(*blake3::hash(bytes).as_bytes()), len: 4 };
        let chunks = bytes.chunks(4).map(chunk).collect();
        let manifest = Manifest { size: 4 * count as u64, md5: [0; 16], xxh64: 0, chunks }.encode();
        let blob = Manifest::id_of(&manifest);
        self.store.begin_partial(blob, &manifest).unwrap();
        for (index, chunk) in (0..).zip(bytes.chunks(4)) {
            self.store.write_chunk(blob, index, chunk).unwrap();
        }
        self.store.finish(blob).unwrap();
        blob
    }

    fn add(&self, name: &str, bytes: &[u8]) -> BlobId {
        let path = self.store.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        self.store.ingest_many(&[&path], &mut |_, _| ()).unwrap().remove(0).unwrap().id
    }
}

/// Fetches a blob of some MiB from peers that behave like this; a second node gets it from the
/// first meanwhile. Gives how long the first took, and which peers it trusts no more.
async fn fetch_from(behaviours: &[Behaviour], mib: usize) -> (Duration, Vec<usize>) {
    let bytes = bytes_of(7, mib << 20);
    let origin = Node::new(1).await;
    let blob = origin.add("blob", &bytes);
    let manifest = origin.store.manifest_bytes(blob).unwrap().unwrap();
    let (first, second) = (Node::new(2).await, Node::new(3).await);
    connect(&second.place, &first.place).await;
    let bytes = Arc::new(bytes);
    let mut peers = Vec::new();
    for (number, behaviour) in (10..).zip(behaviours) {
        let peer = Peer::new(number, *behaviour, EACH, manifest.clone(), Arc::clone(&bytes)).await;
        connect(&first.place, &peer.place).await;
        peers.push(peer);
    }
    let providers: Vec<NodeId> = peers.iter().map(|peer| peer.place.network.me()).collect();
    let begun = Instant::now();
    let (fetched, spread) = tokio::join!(
        async {
            let fetched = first.fetcher.blobs(&[blob], &providers).await;
            (fetched, begun.elapsed())
        },
        async {
            // It asks once the first has begun.
            while first.store.have(blob).unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            second.fetcher.blobs(&[blob], &[first.place.network.me()]).await
        },
    );
    fetched.0.unwrap();
    spread.unwrap();
    for node in [&first, &second] {
        assert!(node.store.read_all(blob, u64::MAX).unwrap() == *bytes, "wrong bytes were kept");
    }
    let trusts = |number: &usize| first.fetcher.trusts(&providers[*number]);
    let liars = (0..providers.len()).filter(|number| !trusts(number)).collect();
    (fetched.1, liars)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bad_peers_cost_time_and_no_bytes() {
    use Behaviour::{Closes, Denies, Honest, OtherManifest, Stalls, WrongBytes};
    const MIB: usize = 64;
    let (mut honest, liars) = fetch_from(&[Honest; 10], MIB).await;
    assert_eq!(liars, [] as [usize; 0]);
    for bad in [
        [WrongBytes, Stalls, Denies],
        [Closes, OtherManifest, Stalls],
        [WrongBytes, WrongBytes, WrongBytes],
        [Stalls, Stalls, Stalls],
        [Denies, Closes, OtherManifest],
    ] {
        let peers: Vec<Behaviour> = bad.into_iter().chain([Honest; 7]).collect();
        for tries in 1.. {
            let (took, liars) = fetch_from(&peers, MIB).await;
            println!("honest {honest:.2?}, with {bad:?} {took:.2?}");
            for (number, behaviour) in bad.iter().enumerate() {
                // Who is silent, goes away or has lost a file may be unlucky; who sends wrong bytes, or describes
                // another file, is not.
                match behaviour {
                    WrongBytes | OtherManifest => {
                        assert!(liars.contains(&number), "{behaviour:?} is trusted still");
                    }
                    Denies => assert!(!liars.contains(&number), "{behaviour:?} is no lie"),
                    _ => {}
                }
            }
            assert!(
                liars.iter().all(|number| *number < bad.len()),
                "an honest peer is not trusted"
            );
            if took < honest * LONGER {
                break;
            }
            assert!(tries < TRIES, "{bad:?}: {took:?}, without them {honest:?}");
            honest = honest.max(fetch_from(&[Honest; 10], MIB).await.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_only_peer_may_be_slow_to_say_what_it_has() {
    let late = Behaviour::OpensLate(Duration::from_secs(6));
    let (took, liars) = fetch_from(&[late], 4).await;
    assert!(took > Duration::from_secs(6) && liars.is_empty(), "{took:?}, {liars:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn peers_that_send_nothing_of_use_are_given_up() {
    use Behaviour::{Echoes, Honest, Repeats};
    let (took, liars) = fetch_from(&[Repeats, Echoes, Honest, Honest], 16).await;
    println!("with two that send nothing of use {took:.2?}");
    assert!(took < AT_LAST, "{took:?}");
    assert!(liars.contains(&0) && liars.iter().all(|number| *number < 2), "{liars:?}");

    let bytes = Arc::new(bytes_of(3, 4 << 20));
    let origin = Node::new(1).await;
    let blob = origin.add("blob", &bytes);
    let manifest = origin.store.manifest_bytes(blob).unwrap().unwrap();
    let node = Node::new(2).await;
    let peer = Peer::new(10, Repeats, Duration::ZERO, manifest, bytes).await;
    connect(&node.place, &peer.place).await;
    let begun = Instant::now();
    let fetched = node.fetcher.blobs(&[blob], &[peer.place.network.me()]).await;
    assert!(matches!(fetched, Err(super::error::FetchError::Nowhere(of)) if of == blob));
    assert!(begun.elapsed() < AT_LAST, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_peer_fetches_is_not_collected_meanwhile() {
    let (one, two) = (Node::new(1).await, Node::new(2).await);
    connect(&two.place, &one.place).await;
    let bytes = bytes_of(11, 64 << 20);
    let blob = one.add("blob", &bytes);
    let (blobs, providers) = ([blob], [one.place.network.me()]);
    let fetching = two.fetcher.blobs(&blobs, &providers);
    tokio::pin!(fetching);
    loop {
        tokio::select! {
            fetched = &mut fetching => break fetched.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                if two.store.have(blob).unwrap().is_some() {
                    let store = Arc::clone(&one.store);
                    let collect = move || store.collect(Duration::ZERO, false).unwrap();
                    tokio::task::spawn_blocking(collect).await.unwrap();
                }
            }
        }
    }
    assert!(two.store.read_all(blob, u64::MAX).unwrap() == bytes);
    one.collects(blob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_leaves_while_answers_are_on_their_way_keeps_nothing_here() {
    let (one, two) = (Node::new(1).await, Node::new(2).await);
    connect(&two.place, &one.place).await;
    let blob = one.add("blob", &bytes_of(15, 64 << 20));
    let chunks = one.store.manifest(blob).unwrap().unwrap().chunk_count();
    let stream = two.place.network.open(&one.place.network.me(), CHUNKS).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    frames::write(&mut writer, &Request::Open(vec![blob])).await.unwrap();
    for chunk in 0..chunks {
        let want = Request::Want { blob, chunk, exact: true };
        frames::write(&mut writer, &want).await.unwrap();
    }
    writer.flush().await.unwrap();
    // More comes than is read: it closes what it writes to, and reads no more.
    let reply = frames::read::<_, Reply>(&mut reader, MAX_REPLY).await.unwrap();
    assert!(matches!(reply, Some(Reply::Manifest(of, ..)) if of == blob), "{reply:?}");
    writer.close().await.unwrap();
    drop((reader, writer));
    one.collects(blob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_whose_disk_has_spoilt_a_file_is_asked_for_others() {
    let (one, two) = (Node::new(1).await, Node::new(2).await);
    connect(&two.place, &one.place).await;
    let spoilt = one.add("spoilt", &bytes_of(12, 8 << 20));
    let good = one.add("good", &bytes_of(13, 8 << 20));
    let id = spoilt.to_string();
    let file = one.store.path().join("blobs").join(&id[..2]).join(&id);
    std::fs::write(&file, bytes_of(14, 8 << 20)).unwrap();
    let provider = [one.place.network.me()];
    let begun = Instant::now();
    let fetched = two.fetcher.blobs(&[spoilt], &provider).await;
    assert!(matches!(fetched, Err(super::error::FetchError::Nowhere(of)) if of == spoilt));
    assert!(begun.elapsed() < AT_LAST, "{:?}", begun.elapsed());
    assert!(two.fetcher.trusts(&provider[0]), "it sent no wrong bytes");
    two.fetcher.blobs(&[good], &provider).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_false_manifest_is_refused_and_its_sender_named() {
    let bytes = Arc::new(bytes_of(3, 1 << 20));
    let origin = Node::new(1).await;
    let blob = origin.add("blob", &bytes);
    let manifest = origin.store.manifest_bytes(blob).unwrap().unwrap();
    let node = Node::new(2).await;
    let liar = Behaviour::OtherManifest;
    let peer = Peer::new(10, liar, Duration::ZERO, manifest, bytes).await;
    connect(&node.place, &peer.place).await;
    let me = peer.place.network.me();
    let fetched = node.fetcher.blobs(&[blob], &[me]).await;
    assert!(matches!(fetched, Err(super::error::FetchError::Nowhere(of)) if of == blob));
    assert!(!node.fetcher.trusts(&me));
    assert_eq!(node.store.have(blob).unwrap(), None, "something of it was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_answers_at_a_length_that_nobody_asked_for_is_named() {
    let (_, liars) = fetch_from(&[Behaviour::Bloats, Behaviour::Honest], 8).await;
    assert_eq!(liars, [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_has_so_many_conversations_and_no_more() {
    const SEATS: usize = 64;
    const TOO_MANY: usize = 3;
    let (one, two, three) = (Node::new(1).await, Node::new(2).await, Node::new(3).await);
    connect(&two.place, &one.place).await;
    connect(&three.place, &one.place).await;
    let blob = BlobId([1; 32]);
    let provider = one.place.network.me();
    let ask = async |from: &Node| {
        let (reader, mut writer) =
            from.place.network.open(&provider, CHUNKS).await.unwrap().split();
        frames::write(&mut writer, &Request::Open(vec![blob])).await?;
        writer.flush().await?;
        std::io::Result::Ok((reader, writer))
    };
    let mut answered = Vec::new();
    for _ in 0..SEATS {
        let (mut reader, writer) = ask(&two).await.unwrap();
        let reply = frames::read::<_, Reply>(&mut reader, MAX_REPLY).await.unwrap();
        assert_eq!(reply, Some(Reply::Unknown(blob)));
        answered.push((reader, writer));
    }
    // As many more wait, and further ones are turned away: which of them is not said.
    let (mut more, mut refused) = (FuturesUnordered::new(), 0);
    for _ in 0..SEATS + TOO_MANY {
        let Ok((mut reader, writer)) = ask(&two).await else {
            refused += 1;
            continue;
        };
        more.push(async move {
            let read = frames::read::<_, Reply>(&mut reader, MAX_REPLY).await;
            (read.ok().flatten(), reader, writer)
        });
    }
    while refused < TOO_MANY {
        let (reply, ..) = more.next().await.unwrap();
        assert_eq!(reply, None, "it was not turned away");
        refused += 1;
    }
    // Another peer has its own.
    let (mut reader, _writer) = ask(&three).await.unwrap();
    let reply = frames::read::<_, Reply>(&mut reader, MAX_REPLY).await.unwrap();
    assert_eq!(reply, Some(Reply::Unknown(blob)));
    assert!(futures::poll!(more.next()).is_pending(), "they wait");
    let (_, mut writer) = answered.pop().unwrap();
    writer.close().await.unwrap();
    let (reply, ..) = more.next().await.unwrap();
    assert_eq!(reply, Some(Reply::Unknown(blob)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_comes_back_is_asked_for_the_rest() {
    let (origin, other, taker) = (Node::new(1).await, Node::new(2).await, Node::new(3).await);
    let bytes = Arc::new(bytes_of(16, 32 << 20));
    let blob = origin.add("blob", &bytes);
    let manifest = origin.store.manifest_bytes(blob).unwrap().unwrap();
    let peer = Peer::new(10, Behaviour::Honest, EACH, manifest, Arc::clone(&bytes)).await;
    let provider = peer.place.network.me();
    for other in [&peer.place, &other.place] {
        connect(&taker.place, other).await;
    }
    // One that has nothing is no reason to give up sooner, nor to go on for longer.
    let providers = [provider, other.place.network.me()];
    for providers in [&providers[..], &providers[..1]] {
        let blobs = [blob];
        let fetching = taker.fetcher.blobs(&blobs, providers);
        let before = taker.received();
        let breaks = async {
            while taker.received() < before + (4 << 20) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            taker.place.network.close(provider);
            while taker.place.network.is_connected(&provider) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            connect(&taker.place, &peer.place).await;
        };
        let (fetched, ()) = tokio::join!(fetching, breaks);
        fetched.unwrap();
        assert!(taker.store.read_all(blob, u64::MAX).unwrap() == *bytes);
        taker.collects(blob).await;
    }
}

/// The longest manifests are read one at a time for a peer, and come all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn blobs_of_very_many_chunks_come_side_by_side() {
    let (one, two) = (Node::new(1).await, Node::new(2).await);
    connect(&two.place, &one.place).await;
    let blobs = [20, 21].map(|seed| one.add_in_tiny_chunks(seed, 15_000));
    // It has all of their chunks, and is to learn where.
    _ = [20, 21].map(|seed| two.add_in_tiny_chunks(seed, 100));
    two.fetcher.blobs(&blobs, &[one.place.network.me()]).await.unwrap();
    for blob in blobs {
        let read = |node: &Node| node.store.read_all(blob, u64::MAX).unwrap();
        assert!(read(&one) == read(&two));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_fetches_than_a_peer_leads_conversations_wait_for_their_turn() {
    let (origin, taker) = (Node::new(1).await, Node::new(2).await);
    connect(&taker.place, &origin.place).await;
    let blobs: Vec<BlobId> =
        (0..200).map(|n| origin.add(&format!("blob{n}"), &bytes_of(n, 1 << 18))).collect();
    let fetches: FuturesUnordered<_> = blobs
        .iter()
        .map(|blob| {
            let (fetcher, blob, provider) =
                (taker.fetcher.clone(), *blob, origin.place.network.me());
            tokio::spawn(async move { fetcher.blobs(&[blob], &[provider]).await })
        })
        .collect();
    let ended: Vec<_> = fetches.collect().await;
    assert!(ended.into_iter().all(|fetched| fetched.unwrap().is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tiny_files_come_in_seconds() {
    let (one, two) = (Node::new(1).await, Node::new(2).await);
    connect(&two.place, &one.place).await;
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..10_000_u32)
        .map(|n| {
            let path = folder.path().join(n.to_string());
            // Equal files would be one blob.
            std::fs::write(&path, n.to_le_bytes()).unwrap();
            path
        })
        .collect();
    let added = one.store.ingest_many(&paths, &mut |_, _| ()).unwrap();
    let blobs: Vec<BlobId> = added.into_iter().map(|added| added.unwrap().id).collect();
    let begun = Instant::now();
    two.fetcher.blobs(&blobs, &[one.place.network.me()]).await.unwrap();
    let took = begun.elapsed();
    println!("10,000 files of 4 bytes in {took:.2?}");
    assert!(took < AT_LAST, "{took:?}");
    assert_eq!(two.store.stats().unwrap().blobs, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_here_is_not_fetched_again() {
    let (one, two) = (Node::new(1).await, Node::new(2).await);
    connect(&two.place, &one.place).await;
    let before = bytes_of(5, 8 << 20);
    let mut after = before.clone();
    after.splice(3_000_000..3_000_000, *b"one more line\n");
    two.add("before", &before);
    let blob = one.add("after", &after);
    two.fetcher.blobs(&[blob], &[one.place.network.me()]).await.unwrap();
    assert!(two.received() < 3 << 20, "{} bytes came", two.received());
    assert!(two.store.read_all(blob, u64::MAX).unwrap() == after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_fetch_the_same_find_each_other() {
    let origin = Node::new(1).await;
    // Several times what a node asks of one peer ahead: all of that is under way before the first chunk
    // can come from another.
    let bytes = bytes_of(9, 128 << 20);
    let blob = origin.add("blob", &bytes);
    let nodes = [Node::new(2).await, Node::new(3).await, Node::new(4).await];
    for (number, node) in nodes.iter().enumerate() {
        connect(&node.place, &origin.place).await;
        for other in &nodes[..number] {
            connect(&node.place, &other.place).await;
        }
    }
    let origin_id = origin.place.network.me();
    let ids: Vec<NodeId> = nodes.iter().map(|node| node.place.network.me()).collect();
    // The first knows of the origin alone; the others ask it too.
    let known = [vec![origin_id], vec![origin_id, ids[0]], vec![origin_id, ids[0], ids[1]]];
    let blobs = [blob];
    let fetch = |number: usize| nodes[number].fetcher.blobs(&blobs, &known[number]);
    let fetched = tokio::join!(fetch(0), fetch(1), fetch(2));
    fetched.0.and(fetched.1).and(fetched.2).unwrap();
    let sent = origin.fetcher.traffic.totals().0 as f64 / bytes.len() as f64;
    println!("the origin sent {sent:.2} copies");
    assert!(sent < 2.9, "{sent} copies for three nodes");
    for node in &nodes {
        assert!(node.store.read_all(blob, u64::MAX).unwrap() == bytes);
    }
}
