# Tries all that changes a file on its inputs, and says of each whether it worked.
import ctypes, mmap, os, shutil, subprocess, sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
BIG = FOLDER + "/big.tx"
BEFORE = open(BIG, "rb").read()
HERE = os.getcwd()


def attempt(what, does):
    try:
        does()
    except BaseException as error:
        print("TRIED", what + ":", type(error).__name__, getattr(error, "strerror", ""))
    else:
        print("TRIED", what + ": WORKED")
    sys.stdout.flush()


def write(path, mode="r+b"):
    with open(path, mode) as file:
        file.write(b"hostile")


def fchmod():
    with open(BIG, "rb") as file:
        os.fchmod(file.fileno(), 0o666)
    write(BIG)


def mapped(flags):
    file = os.open(BIG, flags)
    with mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as map:
        map[:7] = b"hostile"
        map.flush()


def made_writable():
    # Mapped for reading, and then made writable behind the map's back.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    file = os.open(BIG, os.O_RDONLY)
    at = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, file, ctypes.c_long(0))
    if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 3) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    ctypes.memmove(at, b"hostile", 7)


def again():
    # The same file, opened anew by what is open.
    with open(BIG, "rb") as file:
        write("/proc/self/fd/%d" % file.fileno())


def second_name():
    os.link(BIG, HERE + "/name.tx")
    os.chmod(HERE + "/name.tx", 0o666)
    write(HERE + "/name.tx")


def replace():
    with open(HERE + "/other", "wb") as file:
        file.write(b"hostile")
    os.rename(HERE + "/other", BIG)


def out_and_back():
    os.rename(BIG, HERE + "/moved.tx")
    write(HERE + "/moved.tx")


def hole():
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            file = os.open(BIG, flags)
        except OSError as error:
            failed = error
            continue
        # Punches a hole, and keeps the size.
        if libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(4096)) == 0:
            return
        failed = OSError(ctypes.get_errno(), "fallocate")
    raise failed


def remounted():
    # A namespace of its own, in which it is root.
    remount = "mount -o remount,rw,bind '%s' && echo hostile >>'%s'" % (FOLDER, BIG)
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", remount], capture_output=True)
    if done.returncode != 0:
        raise OSError(1, done.stderr.decode(errors="replace").strip())


attempt("chmod", lambda: (os.chmod(BIG, 0o666), write(BIG)))
attempt("chmod of what is open", fchmod)
attempt("writing", lambda: write(BIG))
attempt("appending", lambda: write(BIG, "ab"))
attempt("truncating", lambda: os.truncate(BIG, 10))
attempt("emptying", lambda: open(BIG, "wb"))
attempt("a hole", hole)
attempt("a writable map", lambda: mapped(os.O_RDWR))
attempt("a writable map of what is open for reading", lambda: mapped(os.O_RDONLY))
attempt("a map made writable", made_writable)
attempt("opening again what is open", again)
attempt("a second name", second_name)
attempt("an attribute", lambda: os.setxattr(BIG, "user.hostile", b"hostile"))
attempt("other times", lambda: os.utime(BIG, (1, 1)))
attempt("remounting", remounted)
attempt("renaming over it", replace)
attempt("moving it out", out_and_back)
attempt("deleting", lambda: os.remove(BIG))
attempt("deleting all", lambda: shutil.rmtree(FOLDER))
try:
    print("UNCHANGED" if open(BIG, "rb").read() == BEFORE else "CHANGED")
except OSError:
    print("GONE")
