"""Tests of login and sessions once more, on PostgreSQL."""

import harness
import test_sasl
import test_session


class OnPostgres:
    """Mixed into a class of tests."""

    @classmethod
    def prepare(cls):
        super().prepare()
        postgres = harness.Postgres()
        cls.addClassCleanup(postgres.stop)
        cls.storage = postgres.lines


class SessionBind(OnPostgres, test_session.Bind):
    pass


class SessionStanzas(OnPostgres, test_session.Stanzas):
    pass


class Sasl(OnPostgres, test_sasl.Sasl):
    pass


if __name__ == "__main__":
    harness.main()
