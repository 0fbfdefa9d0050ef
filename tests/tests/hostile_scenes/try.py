# Tries whatever a run should not be able to do, and says of each whether it worked. What stands before says
# where things are.
import os, socket, subprocess, sys


def attempt(what, does):
    try:
        does()
    except BaseException as error:
        print("TRIED", what + ":", type(error).__name__)
    else:
        print("TRIED", what + ": GOT THROUGH")
    sys.stdout.flush()


def write(path, mode="w"):
    with open(path, mode) as file:
        file.write("hostile")


def stay():
    # Twice forked, in a session of its own, deaf to requests: what is left of it must be ended by force.
    code = "import os, signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
    code += "if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nos.execvp('sleep', ['sleep', '%s'])" % MARK
    subprocess.Popen([PYTHON, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True).wait()


def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hostile", ("127.0.0.1", UDP))


def control():
    socket.socket(socket.AF_UNIX).connect(CONTROL)


PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
attempt("reading a secret", lambda: print(open(HOME + "/secret.txt").read()))
attempt("listing a home", lambda: print(os.listdir(HOME)))
attempt("reading the node's key", lambda: open(KEY, "rb").read())
attempt("reading the node's store", lambda: os.listdir(os.path.dirname(KEY) + "/store"))
attempt("reading passwords", lambda: open("/etc/shadow").read())
attempt("writing outside", lambda: write(OUTSIDE))
attempt("changing the node's settings", lambda: write(CONFIG, "a"))
attempt("changing its own inputs", lambda: write(INPUT, "a"))
attempt("making its own inputs writable", lambda: (os.chmod(INPUT, 0o666), write(INPUT, "a")))
attempt("putting a file beside its inputs", lambda: write(os.path.dirname(INPUT) + "/more"))
attempt("putting a file beside its work folder", lambda: write(os.path.dirname(os.getcwd()) + "/report.json"))
attempt("a connection", lambda: socket.create_connection(("127.0.0.1", PORT), 2))
if WHOLE:
    attempt("the daemon's socket", control)
    # A datagram that nobody hears is sent all the same; the listener tells.
    try:
        datagram()
    except OSError as error:
        print("TRIED a datagram:", type(error).__name__)
try:
    stay()
    print("TRIED to stay")
except OSError as error:
    print("TRIED to stay:", type(error).__name__)
sys.stdout.flush()
