"""What a service makes of the live prices that it finds when it starts."""

from datetime import timedelta

from contracts.examples import EXAMPLES
from contracts.market import InstrumentDefined, PricesObserved
from contracts.topics import INSTRUMENTS, PRICES, QUARANTINE
from tailstream.cli.replicas import Replica
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, Shard, emission
from tailstream.runtime.restore import read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Stack
from tests.conftest import PARTITIONS

NAMES = [f"S{number:03}" for number in range(40)]
SLICES = 2_000
STARTS = 3


def instrument(name: str) -> Emission:
    defined = EXAMPLES[INSTRUMENTS.name]
    assert isinstance(defined, InstrumentDefined)
    return emission(INSTRUMENTS, defined.model_copy(update={"instrument_id": name}), key=name)


def price_slice(number: int) -> Emission:
    seen = EXAMPLES[PRICES.name]
    assert isinstance(seen, PricesObserved)
    fields = {"as_of": seen.as_of + timedelta(milliseconds=number), "prices": dict.fromkeys(NAMES, 10.0 + number)}
    return emission(PRICES, seen.model_copy(update=fields), key=seen.source)


async def test_a_start_among_live_prices_refuses_none_of_a_defined_instrument(stack: Stack, prefix: str) -> None:
    settings = ServiceSettings(kafka=stack.addresses.kafka, topic_prefix=prefix)
    outlet = Outlet(settings, "test", partitions=lambda: PARTITIONS)
    await outlet.start()
    await outlet.publish([instrument(name) for name in NAMES])
    await outlet.publish([price_slice(number) for number in range(SLICES)])
    await outlet.stop()
    replica = Replica.of(stack, "risk", number=7, environment={"TAILSTREAM_TOPIC_PREFIX": prefix})
    for _ in range(STARTS):
        replica.start()
        replica.await_ready(within_seconds=90)
        replica.kill()
    assert await read_back(settings, Shard(QUARANTINE.name, 0)) == []
