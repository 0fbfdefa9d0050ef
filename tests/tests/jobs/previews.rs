//! Previews of frames.

use std::io::Cursor;

use serde_json::Value;
use weft_tests::{Farm, wait_for};

use super::END;

/// A picture's size, and its samples.
fn pixels(file: &[u8]) -> ((u32, u32), Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().expect("it is a PNG file");
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits into memory")];
    let info = reader.next_frame(&mut pixels).expect("it is whole");
    ((info.width, info.height), pixels)
}

fn previews(job: &Value) -> Vec<&Value> {
    job["frames"].as_array().into_iter().flatten().map(|frame| &frame["preview"]).collect()
}

#[test]
fn every_picture_has_a_preview_on_every_node() {
    let farm = Farm::found(2);
    let out = farm.folder().join("out");
    let scene = farm.scene("ball", 24, 1);
    let job = farm.submit(1, &scene, &["-f", "1-3", "-o", &out.display().to_string()]);
    for number in 1..=2 {
        wait_for(END, &format!("node{number} knows three previews"), || {
            let job = farm.node(number).get(&format!("/v1/jobs/{job}"))?;
            previews(&job).iter().all(|preview| preview.is_string()).then_some(())
        });
        let path = format!("/v1/jobs/{job}/frames/2/preview");
        let (head, preview) = wait_for(END, "it is shown", || {
            farm.node(number).fetch(&path).filter(|(head, _)| head.contains("200 OK"))
        });
        assert!(head.contains("image/png"), "{head}");
        let frame = wait_for(END, "the frame", || std::fs::read(out.join("ball_0002.png")).ok());
        assert_eq!(pixels(&preview), pixels(&frame), "a small picture is shown as it is");
    }
    let refused = |path: &str, why: &str| {
        let (head, body) = farm.node(1).fetch(path).expect("it answers");
        let body = String::from_utf8(body).expect("it is text");
        assert!(head.contains(" 404 ") && body.contains(why), "{head}\n{body}");
    };
    refused(&format!("/v1/jobs/{job}/frames/9/preview"), "not one of the job's");

    let text = farm.script("text", "echo no picture >\"$OUTPUT\"\n");
    let job = farm.submit(1, &text, &["-f", "1"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(
        (&document["status"], previews(&document)),
        (&"completed".into(), vec![&Value::Null])
    );
    refused(&format!("/v1/jobs/{job}/frames/1/preview"), "has no preview");
}
