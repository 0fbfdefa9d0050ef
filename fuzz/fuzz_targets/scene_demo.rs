#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    _ = weft_scene::demo::Scene::parse(text);
});
