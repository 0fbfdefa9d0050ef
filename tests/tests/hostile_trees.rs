//! A tree manifest from outside can't write outside its folder. More of them:
//! `cargo run --release -p weft-tests --bin hostile_trees`.

use weft_tests::hostile_trees::run;

#[test]
fn no_tree_leaves_its_folder() {
    let figures = run(7, 50_000, 50);
    // Were nearly all refused, or none, there would be little to see.
    assert!((5_000..45_000).contains(&figures.read), "{figures:?}");
    assert!(figures.written > 100 && figures.files > 100, "{figures:?}");
    #[cfg(unix)]
    assert!(figures.links > 20, "{figures:?}");
}
