//! What must survive: nodes die at any moment, and nothing that was acknowledged is lost.

use std::time::Duration;

use weft_tests::Farm;

#[test]
fn three_nodes_render_a_job() {
    let farm = Farm::found(3);
    let scene = farm.scene("ball", 64, 4);
    let out = farm.folder().join("out");
    let job = farm.submit(2, &scene, &["-f", "1-9", "-o", &out.display().to_string()]);
    let job = farm.wait_for_end(&job, Duration::from_secs(60));
    assert_eq!(job["status"], "completed");
}
