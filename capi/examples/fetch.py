"""The C interface from Python, by ctypes: python3 fetch.py PATH/libgannet.so URL...

Prints a line a URL. A select loop watches the one descriptor.
"""
import ctypes
import select
import sys
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_char, c_char_p, c_int, c_int64, c_size_t,
                    c_uint32, c_uint64, c_void_p, sizeof, string_at)


class Str(Structure):
    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]

    def __str__(self):
        return string_at(self.ptr, self.len).decode()


class Error(Structure):
    _fields_ = [("code", c_int), ("text", c_char * 252)]


class Request(Structure):
    _fields_ = [("size", c_size_t), ("url", c_char_p), ("method", c_char_p), ("headers", POINTER(c_char_p)),
                ("headers_len", c_size_t), ("body", c_void_p), ("body_len", c_size_t), ("upload", c_uint32),
                ("upload_len", c_uint64), ("upload_again", c_uint32), ("tag", c_uint64), ("follow", c_uint32),
                ("compressed", c_uint32)]  # What follows is zero, since `size` ends here.


class Result(Structure):
    _fields_ = [("size", c_size_t), ("ok", c_uint32), ("status", c_uint32), ("error", Str), ("text", Str)]


BODY = CFUNCTYPE(None, c_void_p, c_void_p, c_uint64, c_uint64, c_void_p, c_size_t)
DONE = CFUNCTYPE(None, c_void_p, c_void_p, c_uint64, c_uint64, POINTER(Result))


class Callbacks(Structure):
    _fields_ = [("size", c_size_t), ("user", c_void_p), ("head", c_void_p), ("body", BODY),
                ("restart", c_void_p), ("redirect", c_void_p), ("repeat", c_void_p), ("upload", c_void_p),
                ("allow", c_void_p), ("done", DONE)]


def main(library, urls):
    gannet = ctypes.CDLL(library)
    gannet.gannet_new.restype = c_void_p
    gannet.gannet_submit.restype = c_uint64
    gannet.gannet_timeout_ms.restype = c_int64
    gannet.gannet_in_flight.restype = c_size_t
    error = Error()
    loop = c_void_p(gannet.gannet_new(None, byref(error)))
    if not loop:
        sys.exit(error.text.decode())

    bodies, failed = {}, []

    def body(_user, _ctl, _ticket, tag, data, length):
        bodies.setdefault(tag, bytearray()).extend(string_at(data, length))

    def done(_user, _ctl, _ticket, tag, result):
        result = result.contents
        if result.ok:
            print(tag, result.status, len(bodies.get(tag, b"")))
        else:
            failed.append(tag)
            print(tag, result.error, result.text)

    callbacks = Callbacks(size=sizeof(Callbacks), body=BODY(body), done=DONE(done))
    for tag, url in enumerate(urls):
        request = Request(size=sizeof(Request), url=url.encode(), tag=tag, follow=1, compressed=1)
        if not gannet.gannet_submit(loop, byref(request), byref(error)):
            print(tag, error.text.decode())
    descriptor = gannet.gannet_fd(loop)
    while gannet.gannet_in_flight(loop):
        timeout = gannet.gannet_timeout_ms(loop)
        select.select([descriptor], [], [], None if timeout < 0 else timeout / 1000)
        if gannet.gannet_turn(loop, c_int64(0), byref(callbacks), byref(error)):
            sys.exit(error.text.decode())
    gannet.gannet_free(loop)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
