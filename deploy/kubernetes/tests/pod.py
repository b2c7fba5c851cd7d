"""Starts a program as the pod's container does: its own root, read-only, no privileges, bounded memory.

    unshare --mount python3 pod.py ROOT DATA LIMIT PROGRAM ARGUMENT...

ROOT becomes /, read-only; DATA is /data in it, writable. The program runs as nobody, without
capabilities and without a way to new ones, and can map no more than LIMIT bytes.
"""

import ctypes
import os
import resource
import subprocess
import sys

root, data, limit, *command = sys.argv[1:]
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "--bind", root, root], check=True)
subprocess.run(["mount", "--bind", data, f"{root}/data"], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
os.chroot(root)
os.chdir("/data")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
PR_SET_NO_NEW_PRIVS = 38
if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("no new privileges: refused")
resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
os.execve(command[0], command, {})
