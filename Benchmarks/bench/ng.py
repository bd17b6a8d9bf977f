"""A small client of the NG protocol: bencoded dictionaries behind a cookie, over UDP."""

import itertools
import re
import socket

SDP = (
    "v=0\r\n"
    "o=- 1 1 IN IP4 {ip}\r\n"
    "s=-\r\n"
    "c=IN IP4 {ip}\r\n"
    "t=0 0\r\n"
    "m=audio {port} RTP/AVP 8\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
    "a=ptime:20\r\n"
)


class NGError(Exception):
    """The server did not answer, or answered with an error."""


def encode(value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data):
    value, end = _decode(data, 0)
    if end != len(data):
        raise ValueError("octets after the value")
    return value


def _decode(data, at):
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        return {key.decode(): value for key, value in zip(items[0::2], items[1::2])}, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end


class NGClient:
    """Commands to one server. Each waits for its answer, and is repeated with the same cookie when that is late."""

    def __init__(self, address, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))
        self.cookies = (f"bench{number}".encode() for number in itertools.count())

    def close(self):
        self.socket.close()

    def request(self, command, timeout=1.0, attempts=5, **fields):
        cookie = next(self.cookies)
        message = cookie + b" " + encode({"command": command, **{k.replace("_", "-"): v for k, v in fields.items()}})
        self.socket.settimeout(timeout)
        for _ in range(attempts):
            try:
                self.socket.send(message)
                while True:
                    head, _, body = self.socket.recv(65536).partition(b" ")
                    if head == cookie:
                        break
            except (TimeoutError, ConnectionRefusedError):
                continue
            answer = decode(body)
            if answer.get("result") == b"error":
                raise NGError(f"{command}: {answer.get('error-reason', b'').decode(errors='replace')}")
            return answer
        raise NGError(f"{command}: no answer")

    def open_call(self, call, caller, callee):
        """Offer and answer for the call between two `(ip, port)`; the relay's ports that caller and callee send to."""
        call_id, flags = f"bench-{call}", ["trust-address"]
        to_callee = self.request(
            "offer", call_id=call_id, from_tag="a", sdp=SDP.format(ip=caller[0], port=caller[1]), flags=flags, ICE="remove")
        to_caller = self.request(
            "answer", call_id=call_id, from_tag="a", to_tag="b", sdp=SDP.format(ip=callee[0], port=callee[1]),
            flags=flags, ICE="remove")
        return media_port(to_caller["sdp"]), media_port(to_callee["sdp"])

    def close_call(self, call):
        self.request("delete", call_id=f"bench-{call}", from_tag="a", delete_delay=0)


def media_port(sdp):
    return int(re.search(rb"^m=audio (\d+) ", sdp, re.MULTILINE).group(1))
