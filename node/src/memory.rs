//! How the allocator of the system is used.

/// How many arenas the GNU C library may allocate from. It makes up to eight for each core, and each keeps what was
/// freed in it: a node that led and handed out a million tasks held 490 MiB, of which its tables had 190.
/// With two it holds what it uses: docs/decisions.md 43.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;

/// Has freed memory be used again, by whatever thread. To be called before there are many threads. Where it has no
/// effect more is held, and nothing else changes; other systems' allocators need nothing.
pub(crate) fn share() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "it is given no pointer, and the C library takes it at any time"
    )]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}
