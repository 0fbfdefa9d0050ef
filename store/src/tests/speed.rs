//! Not a benchmark: it prints what many small files cost, and fails only where each file costs a
//! commit of its own.

use super::*;

#[test]
fn ten_thousand_small_files_take_few_commits() {
    let mut scratch = Scratch::new();
    let dir = scratch.beside("many");
    std::fs::create_dir(&dir).unwrap();
    let mut paths = Vec::new();
    for n in 0..10_000 {
        let path = dir.join(n.to_string());
        std::fs::write(&path, noise(n, 4096)).unwrap();
        paths.push(path);
    }
    let started = std::time::Instant::now();
    let results = scratch.ingest_many(&paths, &mut |_, _| {}).unwrap();
    let took = started.elapsed();
    assert!(results.iter().all(|result| result.as_ref().is_ok_and(|a| a.bytes_added == 4096)));
    let rate = 10_000.0 / took.as_secs_f64();
    println!("10,000 files of 4 KiB: {took:.2?}, {rate:.0} files/s");
    let catalog = scratch.stats().unwrap().catalog_bytes;
    println!("the catalog has {:.1} MiB for 39 MiB of files", catalog as f64 / 1048576.0);
    let started = std::time::Instant::now();
    scratch.reopen();
    println!("opened again, its pages checked: {:.2?}", started.elapsed());
    assert!(took.as_secs() < 120, "{took:?}");
}

#[test]
fn one_large_file() {
    let scratch = Scratch::new();
    let path = scratch.beside("large");
    std::fs::write(&path, noise(1, 128 << 20)).unwrap();
    let started = std::time::Instant::now();
    let id = scratch.ingest_file(&path, &mut |_| {}).unwrap().id;
    let took = started.elapsed();
    println!("128 MiB taken in: {took:.2?}, {:.0} MiB/s", 128.0 / took.as_secs_f64());
    let started = std::time::Instant::now();
    assert_eq!(scratch.verify_blob(id).unwrap(), []);
    let took = started.elapsed();
    println!("128 MiB verified: {took:.2?}, {:.0} MiB/s", 128.0 / took.as_secs_f64());
}
