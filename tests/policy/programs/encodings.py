import base64, binascii, hashlib, hmac, secrets, struct, uuid, zlib, gzip
print(base64.b64encode(b"hi"), base64.urlsafe_b64decode(b"aGk="), binascii.hexlify(b"\x01"))
print(hashlib.sha256(b"x").hexdigest()[:8], hashlib.new("md5", b"x").hexdigest()[:8], hashlib.blake2b(b"a", digest_size=4).hexdigest())
print(hmac.new(b"k", b"m", hashlib.sha256).hexdigest()[:8], hmac.compare_digest("a", "a"), hmac.new(b"k", b"m", "sha1").digest()[:2])
print(struct.unpack(">IH", struct.pack(">IH", 1, 2)), uuid.uuid5(uuid.NAMESPACE_DNS, "x"), uuid.UUID(int=1))
print(zlib.decompress(zlib.compress(b"abc" * 10)), gzip.decompress(gzip.compress(b"z")), zlib.crc32(b"x"))
print(len(secrets.token_hex(4)), len(str(uuid.uuid4())), int.from_bytes(b"\x01\x00", "big"), bytes.fromhex("ff00"))
