"""A unit that speaks Chinese: the driver's texts and the receipt, from the real firmware."""

import pytest
from bench_taxi import START, Garage, K, ride
from flagfall.receipt import clock_time, columns, kilometres, money
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import CHINESE_COMPANY, CHINESE_PLATE, install
from flagfall_host.bench.taxi import Taxi


@pytest.fixture
def taxi(garage: Garage, tmp_path):
    """A taxi whose unit was installed to speak Chinese."""
    with Taxi(tmp_path / "taxi", k=K, utc_s=START) as taxi:
        taxi.unit.power_on()
        install(taxi, garage.fleet, K, language="zh-CN")
        assert taxi.face["message_own"] == "请签到"
        taxi.press("SIGN", "340023", what="the sign-in", driver="340023")
        yield taxi


def pay(taxi, card: str = "ecash") -> None:
    taxi.press("CARD", what="the request", position="STOPPED")
    taxi.world.wait(lambda: "请刷卡：" in taxi.face.get("message_own", ""), "the request")
    taxi.hold(catalogue.make(card))


def test_a_trip_and_a_tap_in_chinese(taxi):
    fare = ride(taxi)
    assert taxi.face["message_own"] == "现金还是刷卡？"
    assert taxi.face["message"] == "CASH or CARD?"  # what a display without the font shows
    pay(taxi)
    taxi.world.wait_face("the payment", message_own="已付款，请取卡")
    taxi.world.wait(lambda: taxi.world.paper.jobs, "the receipt")
    slip = taxi.world.paper.jobs[-1]
    assert all(columns(line) <= 32 for line in slip)
    assert [slip[0].strip(), slip[1].strip()] == [CHINESE_COMPANY, "出租汽车小票"]
    rows = {line.split()[0]: line.split()[-1] for line in slip if len(line.split()) > 1}
    assert rows["车牌号"] == CHINESE_PLATE and rows["证号"] == "0000000000"
    assert rows["日期"] == "2026-03-02" and rows["上车-下车"] == "10:01"
    face = taxi.face
    assert rows["单价（每公里）"] == money(face["unit_price"])
    assert rows["里程（km）"] == kilometres(face["distance_mm"])
    assert rows["等候时间"] == clock_time(face["waiting_s"] * 1_000)
    assert rows["金额合计"] == rows["车费"] == money(fare)
    assert rows["付款方式"] == "非接刷卡" and rows["卡号"] == "0102"
    assert rows["卡余额"] == money(50_000 - fare)
    assert slip[-1].strip() == "未经认证的参考设计"
    assert taxi.unit.log() == ""
