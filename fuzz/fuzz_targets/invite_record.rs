#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (weft_tests::decoders::target("invite_record").feed)(bytes);
});
