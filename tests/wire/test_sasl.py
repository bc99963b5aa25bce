"""Authentication: the exact SASL condition of each way to get it wrong (RFC 6120 6.5, RFC 5802)."""

import hashlib

import wire
from harness import WireTest, add_tests, main, processes
from wire import SASL, STARTTLS, TLS, Scram, auth, b64, begin, response

RIGHT = "alice's secret"


class Sasl(WireTest):
    """On a stream inside TLS."""

    def failure(self, client):
        return wire.sasl_condition(client.element())

    def still_works(self, client):
        """After the failure the same stream still lets the right password in."""
        outcome = wire.authenticate(client, Scram("alice", RIGHT))
        self.assertEqual(outcome.tag, f"{{{SASL}}}success")

    def test_every_mechanism(self):
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            with self.subTest(mechanism), self.secured() as client:
                self.assertIn(mechanism, client.mechanisms())
                self.assertIn(mechanism + "-PLUS", client.mechanisms())
                outcome = wire.authenticate(client, Scram("alice", RIGHT, mechanism))
                self.assertEqual(outcome.tag, f"{{{SASL}}}success")

    def test_plain(self):
        with self.secured() as client:
            self.assertIn("PLAIN", client.mechanisms())
            client.send(auth("PLAIN", f"\0alice\0{RIGHT}"))
            client.element(f"{{{SASL}}}success")

    def test_plain_without_initial_response(self):
        with self.secured() as client:
            client.send(auth("PLAIN"))
            client.element(f"{{{SASL}}}challenge")
            client.send(response(f"\0alice\0{RIGHT}"))
            client.element(f"{{{SASL}}}success")

    def test_end_point_binding(self):
        with self.secured() as client:
            binding = hashlib.sha256(client.certificate()).digest()
            scram = Scram("alice", RIGHT, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", binding)
            self.assertEqual(wire.authenticate(client, scram).tag, f"{{{SASL}}}success")

    def test_binding_of_another_certificate(self):
        with self.secured() as client:
            binding = hashlib.sha256(b"man in the middle").digest()
            scram = Scram("alice", RIGHT, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", binding)
            outcome = wire.authenticate(client, scram)
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")

    def test_binding_of_unknown_type(self):
        """Refused, but it is no failed password: the stream goes on however often."""
        with self.secured() as client:
            for _ in range(4):
                outcome = begin(client, Scram("alice", RIGHT, "SCRAM-SHA-256-PLUS",
                                              "p=tls-unique,,", b"x"))
                self.assertEqual(wire.sasl_condition(outcome), "not-authorized")
            self.still_works(client)

    def test_downgrade_is_detected(self):
        """'y' says: I could bind, but you did not offer it. We did."""
        with self.secured() as client:
            outcome = begin(client, Scram("alice", RIGHT, gs2="y,,"))
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")
            self.still_works(client)

    def test_binding_flag_must_fit_the_mechanism(self):
        for mechanism, gs2 in (("SCRAM-SHA-256", "p=tls-exporter,,"), ("SCRAM-SHA-256-PLUS", "n,,"),
                               ("SCRAM-SHA-256-PLUS", "y,,")):
            with self.subTest(mechanism + " " + gs2), self.secured() as client:
                outcome = begin(client, Scram("alice", RIGHT, mechanism, gs2))
                self.assertEqual(wire.sasl_condition(outcome), "malformed-request")

    def test_wrong_nonce(self):
        with self.secured() as client:
            scram = Scram("alice", RIGHT)
            outcome = wire.authenticate(client, scram, nonce="abc")
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")

    def test_own_nonce_alone(self):
        with self.secured() as client:
            scram = Scram("alice", RIGHT)
            outcome = wire.authenticate(client, scram, nonce=scram.nonce)
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")

    def test_replayed_final_message(self):
        with self.secured() as client:
            scram = Scram("alice", RIGHT)
            begin(client, scram)
            final = scram.final()
            client.send(response(final))
            client.element(f"{{{SASL}}}success")
        with self.secured() as client:
            again = Scram("alice", RIGHT)
            again.nonce, again.first_bare = scram.nonce, scram.first_bare
            begin(client, again)
            self.assertNotEqual(again.server_nonce, scram.server_nonce)
            client.send(response(final))
            self.assertEqual(self.failure(client), "not-authorized")

    def test_wrong_proof(self):
        for name, proof in (("zeros", b"\0" * 32), ("short", b"x"), ("long", b"x" * 64)):
            with self.subTest(name), self.secured() as client:
                outcome = wire.authenticate(client, Scram("alice", RIGHT), proof=proof)
                self.assertEqual(wire.sasl_condition(outcome), "not-authorized")
                self.still_works(client)

    def test_wrong_gs2_header_in_final(self):
        """The header of the first message comes back in the last, unchanged."""
        with self.secured() as client:
            outcome = wire.authenticate(client, Scram("alice", RIGHT), binding=b"y,,")
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")

    def test_binding_data_where_none_is_due(self):
        with self.secured() as client:
            outcome = wire.authenticate(client, Scram("alice", RIGHT), binding=b"n,,extra")
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")

    def test_wrong_password(self):
        with self.secured() as client:
            outcome = wire.authenticate(client, Scram("alice", "wrong"))
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")
            self.still_works(client)

    def test_wrong_password_by_plain(self):
        with self.secured() as client:
            client.send(auth("PLAIN", "\0alice\0wrong"))
            self.assertEqual(self.failure(client), "not-authorized")
            self.still_works(client)

    def test_authzid_of_somebody_else(self):
        with self.secured() as client:
            outcome = begin(client, Scram("alice", RIGHT, gs2="n,a=bob@localhost,"))
            self.assertEqual(wire.sasl_condition(outcome), "invalid-authzid")
            client.send(auth("PLAIN", f"bob@localhost\0alice\0{RIGHT}"))
            self.assertEqual(self.failure(client), "invalid-authzid")

    def test_own_authzid(self):
        with self.secured() as client:
            scram = Scram("alice", RIGHT, gs2="n,a=alice@localhost,")
            self.assertEqual(wire.authenticate(client, scram).tag, f"{{{SASL}}}success")

    def test_unknown_mechanism(self):
        for mechanism in ("SCRAM-MD5", "DIGEST-MD5", "EXTERNAL", "ANONYMOUS", "", "scram-sha-256"):
            with self.subTest(mechanism), self.secured() as client:
                client.send(auth(mechanism, "x"))
                self.assertEqual(self.failure(client), "invalid-mechanism")

    def test_abort(self):
        with self.secured() as client:
            begin(client, Scram("alice", RIGHT))
            client.send(f"<abort xmlns='{SASL}'/>")
            self.assertEqual(self.failure(client), "aborted")
            self.still_works(client)

    def test_response_without_challenge(self):
        with self.secured() as client:
            client.send(response("x"))
            self.assertEqual(self.failure(client), "malformed-request")

    def test_auth_within_auth(self):
        with self.secured() as client:
            begin(client, Scram("alice", RIGHT))
            # RFC 6120 6.4.2: the new exchange takes the place of the old one.
            client.send(auth("PLAIN", f"\0alice\0{RIGHT}"))
            client.element(f"{{{SASL}}}success")

    def test_header_that_names_somebody_else(self):
        """RFC 6120 6.4.6: under TLS the header's `from` has to be whoever logs in."""
        for given, is_right in (("alice@localhost", True), ("ALICE@localhost/pc", True),
                                ("localhost", True), ("bob@localhost", False)):
            with self.subTest(given), self.connect() as client:
                client.open()
                client.send(STARTTLS)
                client.element(f"{{{TLS}}}proceed")
                client.start_tls()
                client.open(attributes=f" from='{given}'")
                client.send(auth("PLAIN", f"\0alice\0{RIGHT}"))
                if is_right:
                    client.element(f"{{{SASL}}}success")
                else:
                    self.assertEqual(client.stream_error(), "invalid-from")

    def test_pipelined_final_and_header(self):
        """The next stream may be opened before <success/> was read."""
        with self.secured() as client:
            scram = Scram("alice", RIGHT)
            begin(client, scram)
            client.send(response(scram.final()) + wire.stream_header() +
                        f"<iq type='set' id='b'><bind xmlns='{wire.BIND}'/></iq>")
            raw = b""
            while b"</iq>" not in raw:
                got = client.next_raw()
                self.assertIsInstance(got, bytes)
                raw += got
            # Two streams, one after the other, in the bytes of one connection.
            self.assertRegex(raw, rb"^<success .*</success><\?xml .*<stream:features>.*<iq .*jid>")
            self.assertIn(b"type='result'", raw)

    def test_slow_hash_does_not_stop_others(self):
        """Many wrong passwords by PLAIN are verified off the workers."""
        clients = [self.secured() for _ in range(8)]
        for client in clients:
            client.send(auth("PLAIN", "\0alice\0wrong"))
        self.control.check()
        for client in clients:
            self.assertEqual(self.failure(client), "not-authorized")
            client.close()


def bad_auth(self, mechanism, data, condition):
    with self.secured() as client:
        client.send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{data}</auth>")
        self.assertEqual(self.failure(client), condition)
        self.still_works(client)


def scram_first(text):
    return "SCRAM-SHA-256", b64(text), "malformed-request"


def plain(data):
    return "PLAIN", b64(data), "malformed-request"


add_tests(Sasl, bad_auth, [
    ("base64_of_wrong_alphabet", "PLAIN", "!!!!", "incorrect-encoding"),
    ("base64_cut_short", "PLAIN", "AGFsaWNl=", "incorrect-encoding"),
    ("base64_with_space", "PLAIN", "AGFs aWNl", "incorrect-encoding"),
    ("base64_padding_inside", "PLAIN", "AA==AAAA", "incorrect-encoding"),
    ("base64_trailing_bits", "PLAIN", "AB==", "incorrect-encoding"),
    ("plain_empty", "PLAIN", "=", "malformed-request"),
    ("plain_no_nul", *plain("alice")),
    ("plain_one_nul", *plain("\0alice")),
    ("plain_three_nuls", *plain(f"\0alice\0{RIGHT}\0")),
    ("plain_nul_in_user", *plain(f"\0ali\0ce\0{RIGHT}")),
    ("plain_empty_user", *plain(f"\0\0{RIGHT}")),
    ("plain_empty_password", *plain("\0alice\0")),
    ("plain_not_utf8", *plain(b"\0alice\0\xff\xfe")),
    ("plain_far_too_long", *plain("\0alice\0" + "x" * 17_000)),
    ("scram_empty", *scram_first("")[:1], "=", "malformed-request"),
    ("scram_rubbish", *scram_first("rubbish")),
    ("scram_no_gs2", *scram_first("n=alice,r=abc")),
    ("scram_no_nonce", *scram_first("n,,n=alice")),
    ("scram_empty_nonce", *scram_first("n,,n=alice,r=")),
    ("scram_no_user", *scram_first("n,,r=abc")),
    ("scram_mandatory_extension", *scram_first("n,,m=x,n=alice,r=abc")),
    ("scram_bad_escape", *scram_first("n,,n=al=ice,r=abc")),
    ("scram_unknown_flag", *scram_first("z,,n=alice,r=abc")),
    ("scram_nul_in_user", *scram_first("n,,n=ali\0ce,r=abc")),
    ("scram_not_utf8", *scram_first(b"n,,n=\xff,r=abc")),
    ("scram_far_too_long", *scram_first("n,,n=alice,r=" + "a" * 17_000)),
    ("user_that_cannot_be", "SCRAM-SHA-256", b64("n,,n=a@b,r=abc"), "not-authorized"),
])


def bad_final(self, final, condition):
    with self.secured() as client:
        begin(client, Scram("alice", RIGHT))
        client.send(f"<response xmlns='{SASL}'>{final}</response>")
        self.assertEqual(self.failure(client), condition)
        self.still_works(client)


add_tests(Sasl, bad_final, [
    ("final_not_base64", "%%%", "incorrect-encoding"),
    ("final_rubbish", b64("rubbish"), "malformed-request"),
    ("final_without_proof", b64("c=biws,r=abc"), "malformed-request"),
    ("final_proof_not_base64", b64("c=biws,r=abc,p=%%%"), "malformed-request"),
    ("final_empty", "", "malformed-request"),
])


class UnknownUsers(WireTest):
    """Nobody can find out which accounts exist."""

    limits = "auth_failures = 20"

    def challenge(self, user, mechanism="SCRAM-SHA-256", client=None):
        own = client or self.secured()
        scram = Scram(user, "guess", mechanism)
        begin(own, scram)
        raw = own.received
        if client is None:
            own.close()
        return scram, raw

    def shape(self, scram):
        return (len(scram.server_first), len(scram.server_nonce), len(scram.salt),
                scram.iterations)

    def test_challenges_have_the_same_shape(self):
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            known, _ = self.challenge("alice", mechanism)
            unknown, _ = self.challenge("nobody", mechanism)
            self.assertEqual(self.shape(known), self.shape(unknown), mechanism)
            self.assertEqual(unknown.iterations, 4096)

    def test_salts_repeat(self):
        """The same user has the same salt whenever it is asked for, existing or not."""
        for user in ("alice", "nobody"):
            salts = {self.challenge(user)[0].salt for _ in range(3)}
            salts |= {self.challenge(user, "SCRAM-SHA-1")[0].salt}
            self.assertEqual(len(salts), 1, user)
        self.assertNotEqual(self.challenge("nobody")[0].salt, self.challenge("nobody2")[0].salt)

    def test_prepared_names_have_one_salt(self):
        self.assertEqual(self.challenge("nobody")[0].salt, self.challenge("NoBody")[0].salt)
        self.assertEqual(self.challenge("alice")[0].salt, self.challenge("ALICE")[0].salt)

    def test_failures_are_the_same_bytes(self):
        def answers(user):
            found = []
            with self.secured() as client:
                at = len(client.received)
                wire.authenticate(client, Scram(user, "guess"))
                found.append(client.received[at:].partition(b"</challenge>")[2])
                at = len(client.received)
                client.send(auth("PLAIN", f"\0{user}\0guess"))
                client.element()
                found.append(client.received[at:])
            return found
        known, unknown = answers("alice"), answers("nobody")
        self.assertEqual(known, unknown)
        self.assertIn(b"<not-authorized/>", known[0])
        self.assertIn(b"<not-authorized/>", known[1])

    def test_plain_costs_as_much(self):
        """Both compute PBKDF2: no factor between them that could be told apart at a glance. Counted
        in processor time, which others on the machine do not lengthen."""
        def least(user):
            spent = []
            with self.secured() as client:
                for _ in range(8):
                    before = self.server.cpu_ns()
                    client.send(auth("PLAIN", f"\0{user}\0guess"))
                    client.element()
                    spent.append(self.server.cpu_ns() - before)
            return min(spent)
        known, unknown = least("alice"), least("nobody")
        self.assertLess(max(known, unknown) / min(known, unknown), 3)

    def test_nobody_answers_like_somebody_offline(self):
        """But for what is kept for somebody: who would write to nobody should know."""
        with self.session() as alice:
            for stanza in ("<message to='{}@localhost' id='m' type='groupchat'><body>x</body>"
                           "</message>",
                           "<iq to='{}@localhost' id='m' type='get'><query xmlns='urn:x'/></iq>"):
                errors = []
                for user in ("bob", "nobody"):
                    alice.send(stanza.format(user))
                    errors.append(
                        wire.ET.tostring(alice.element()).replace(user.encode(), b"USER"))
                self.assertEqual(errors[0], errors[1])
                self.assertIn(b"service-unavailable", errors[0])


class TooManyFailures(WireTest):
    """The stream ends after the configured number of failures; other streams do not count."""

    limits = "auth_failures = 3"

    def test_wrong_passwords(self):
        with self.secured() as client:
            for _ in range(3):
                outcome = wire.authenticate(client, Scram("alice", "wrong"))
                self.assertEqual(wire.sasl_condition(outcome), "not-authorized")
            self.assertEqual(client.stream_error(), "policy-violation")
        with self.session() as client:
            self.assertTrue(client.jid)

    def test_broken_exchanges_count(self):
        with self.secured() as client:
            for _ in range(3):
                client.send(auth("PLAIN", "x"))
                self.assertEqual(wire.sasl_condition(client.element()), "malformed-request")
            self.assertEqual(client.stream_error(), "policy-violation")

    def test_harmless_failures_are_limited_too(self):
        with self.secured() as client:
            for _ in range(100):
                client.try_send(auth("FOO", "x"))
                item = client.element()
                if item.tag != f"{{{SASL}}}failure":
                    break
                self.assertEqual(wire.sasl_condition(item), "invalid-mechanism")
            else:
                self.fail("a hundred attempts")
            self.assertEqual(item[0].tag, f"{{{wire.STREAM_ERRORS}}}policy-violation")
            client.expect_end()

    def test_two_failures_then_the_right_password(self):
        with self.secured() as client:
            for _ in range(2):
                wire.authenticate(client, Scram("alice", "wrong"))
            outcome = wire.authenticate(client, Scram("alice", RIGHT))
            self.assertEqual(outcome.tag, f"{{{SASL}}}success")


class WithoutTls(WireTest):
    """Nothing authenticates without TLS, be it required or optional, unless the option says so."""

    listen = processes.listeners("ADDRESS", "required", "optional")

    def ports(self):
        """(required, optional) from the ready line, which names both listeners."""
        line = next(text for text in self.server.child.seen if text.startswith("xmppd ready"))
        return [int(field.rsplit(":", 1)[1]) for field in line.split() if field.startswith("c2s=")]

    def test_tls_is_the_only_feature_where_required(self):
        with self.connect() as client:
            features = client.open()
            self.assertEqual([child.tag for child in features], [f"{{{TLS}}}starttls"])
            self.assertIsNotNone(features[0].find(f"{{{TLS}}}required"))

    def test_authentication_where_required(self):
        for mechanism in ("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "FOO"):
            with self.subTest(mechanism), self.connect() as client:
                client.open()
                client.send(auth(mechanism, f"\0alice\0{RIGHT}"))
                self.assertEqual(wire.sasl_condition(client.element()), "encryption-required")
                # The stream goes on: the client may still do what it was told.
                client.secure()
                self.assertEqual(
                    wire.authenticate(client, Scram("alice", RIGHT)).tag, f"{{{SASL}}}success")

    def test_authentication_where_optional(self):
        """plain_without_tls is off: mechanisms are offered inside TLS only."""
        with wire.Wire(self.server.address, self.ports()[1]) as client:
            client.open()
            self.assertEqual(client.mechanisms(), [])
            client.send(auth("SCRAM-SHA-256", Scram("alice", RIGHT).first()))
            self.assertEqual(wire.sasl_condition(client.element()), "encryption-required")
            client.secure()
            self.assertEqual(
                wire.authenticate(client, Scram("alice", RIGHT)).tag, f"{{{SASL}}}success")

    def test_registration_where_optional(self):
        """A password is no less secret in a registration."""
        with wire.Wire(self.server.address, self.ports()[1]) as client:
            features = client.open()
            self.assertIsNone(features.find("{http://jabber.org/features/iq-register}register"))
            client.send("<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
                        "<username>eve</username><password>secret</password></query></iq>")
            self.assertEqual(client.stream_error(), "not-authorized")

    def test_starttls_where_optional(self):
        with wire.Wire(self.server.address, self.ports()[1]) as client:
            features = client.open()
            self.assertIsNone(features.find(f"{{{TLS}}}starttls/{{{TLS}}}required"))


class PlainWithoutTls(WireTest):
    """With tls = "none" and plain_without_tls there is no STARTTLS, and PLAIN works."""

    listen = processes.listeners("ADDRESS", "required", "none")
    profile = "plain_without_tls = true"
    ports = WithoutTls.ports

    def test_authentication_without_tls(self):
        for mechanism in ("PLAIN", "SCRAM-SHA-256"):
            with self.subTest(mechanism), wire.Wire(
                    self.server.address, self.ports()[1]) as client:
                features = client.open()
                self.assertIsNone(features.find(f"{{{TLS}}}starttls"))
                self.assertIn(mechanism, client.mechanisms())
                self.assertFalse([m for m in client.mechanisms() if m.endswith("-PLUS")])
                if mechanism == "PLAIN":
                    client.send(auth("PLAIN", f"\0alice\0{RIGHT}"))
                    client.element(f"{{{SASL}}}success")
                else:
                    outcome = wire.authenticate(client, Scram("alice", RIGHT))
                    self.assertEqual(outcome.tag, f"{{{SASL}}}success")

    def test_starttls_that_was_not_offered(self):
        with wire.Wire(self.server.address, self.ports()[1]) as client:
            client.open()
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}failure")
            client.expect_end()

    def test_required_stays_required(self):
        with self.connect() as client:
            client.open()
            self.assertEqual(client.mechanisms(), [])
            client.send(auth("PLAIN", f"\0alice\0{RIGHT}"))
            self.assertEqual(wire.sasl_condition(client.element()), "encryption-required")

    def test_y_without_tls_is_no_downgrade(self):
        """No -PLUS was offered here, so 'y' is the truth."""
        with wire.Wire(self.server.address, self.ports()[1]) as client:
            client.open()
            outcome = wire.authenticate(client, Scram("alice", RIGHT, gs2="y,,"))
            self.assertEqual(outcome.tag, f"{{{SASL}}}success")


if __name__ == "__main__":
    main()
