"""The seat's own words, English and Chinese. What the unit says comes from the unit itself."""

from typing import Literal

Language = Literal["en", "zh"]

_WORDS: dict[str, tuple[str, str]] = {
    # the two displays
    "FOR HIRE": ("FOR HIRE", "空车"),
    "HIRED": ("HIRED", "载客"),
    "STOPPED": ("STOPPED", "停车计价"),
    "no power": ("no power", "未通电"),
    "km": ("km", "里程 km"),
    "waiting": ("waiting", "等候时间"),
    "price": ("price / km", "单价 / km"),
    "extras": ("extras", "附加费"),
    "low speed": ("LOW SPEED", "低速"),
    "night": ("NIGHT", "夜间"),
    "cash paid": ("PAID CASH", "现金已付"),
    "card paid": ("PAID CARD", "刷卡已付"),
    "taxi": ("T A X I", "出 租 车"),
    "fare display": ("fare display", "计价器"),
    "passenger's display": ("passenger display", "乘客显示屏"),
    "to pay": ("to pay", "应付"),
    "paid": ("paid", "已付"),
    "welcome": ("This taxi is free", "本车空驶，欢迎乘坐"),
    "driver": ("driver", "司机"),
    "trip": ("trip", "第"),
    # keys of the unit
    "keys": ("keys of the unit", "计价器按键"),
    "SIGN": ("SIGN", "签到/退"),
    "HIRE": ("HIRED", "载客"),
    "STOP": ("STOP", "停车"),
    "EXTRA": ("EXTRA", "附加费"),
    "CASH": ("CASH", "现金"),
    "CARD": ("CARD", "刷卡"),
    "PRINT": ("PRINT", "打印"),
    "FREE": ("FOR HIRE", "空车"),
    "typed": ("number typed", "已输入数字"),
    "digits": ("0-9, Backspace", "数字键 0-9，退格"),
    # around it
    "reader": ("card reader", "读卡区"),
    "reader idle": ("asleep: STOP, then CARD wakes it", "待机：先按“停车”，再按“刷卡”"),
    "reader ready": ("waits for a card", "请刷卡"),
    "reader busy": ("reads {card}", "正在读卡 {card}"),
    "reader dark": ("dark", "无电"),
    "card there": ("{card} lies on it", "{card} 在读卡区"),
    "wallet": ("wallet   [ ] choose   T tap   X tear away", "卡包   [ ] 选卡   T 刷卡   X 抽走"),
    "paper": ("paper", "小票"),
    "no paper": ("receipts come out here", "小票从这里出来"),
    "road": ("road", "道路"),
    "pedal": ("Up gas  Down brake  Space stop", "↑ 加速  ↓ 减速  空格 刹停"),
    "power": ("power", "电源"),
    "cable": ("cable", "数据线"),
    "office": ("office", "车队办公室"),
    "printer": ("printer", "打印机"),
    "paper in": ("paper in", "有纸"),
    "paper out": ("no paper", "无纸"),
    "cover shut": ("cover shut", "盖已关"),
    "cover open": ("cover open", "盖已开"),
    "drivers": ("Drivers", "司机名单"),
    "drivers sent": ("{number}: PIN {pin} or {card}", "{number}：密码 {pin} 或 {card}"),
    "on": ("on", "开"),
    "off": ("off", "关"),
    "plugged": ("plugged in", "已插上"),
    "unplugged": ("pulled out", "已拔下"),
    "nothing pulled": ("O pulls the records, A settles", "O 采集记录，A 与收单行结算"),
    # buttons around it
    "tap": ("Tap", "刷卡"),
    "tear": ("Tear away", "抽走"),
    "pull": ("Pull", "采集"),
    "settle": ("Settle", "结算"),
    "help": ("Help", "帮助"),
    "quit": ("Quit", "退出"),
    "gas": ("Gas", "加速"),
    "brake": ("Brake", "减速"),
    "halt": ("Stop", "刹停"),
    # what to do next
    "starting": ("The unit starts: {what} ...", "设备启动中：{what} ..."),
    "next sign": (
        "Next: type your number (any digits), then S to sign in",
        "下一步：输入工号（任意数字），再按 S 签到",
    ),
    "next hire": ("Next: H, a passenger gets in", "下一步：乘客上车，按 H"),
    "next drive": (
        "Next: Up to drive; at the end Space to brake, then P to stop the meter",
        "下一步：↑ 行驶；到达后按空格刹停，再按 P 停止计价",
    ),
    "next pay": ("Next: K to be paid by card, or C in cash", "下一步：刷卡按 K，现金按 C"),
    "next tap": (
        "Next: choose a card in the wallet with [ and ], T taps it",
        "下一步：用 [ 和 ] 在卡包里选卡，按 T 刷卡",
    ),
    "next free": ("Next: F, free for the next passenger", "下一步：按 F，恢复空车"),
    "next power": ("Next: W switches the power on again", "下一步：按 W 重新通电"),
    # the office
    "pulling": ("pulling: {done} of {total}", "采集中：{done} / {total}"),
    "pulled": (
        "{records} new records; {trips} trips, {takings} in the ledger",
        "新记录 {records} 条；台账共 {trips} 趟，{takings} 元",
    ),
    "settling": ("settling: {done} of {total} taps", "结算中：{done} / {total} 笔"),
    "settled": (
        "batch {batch} settled: {taps} taps, {amount}",
        "第 {batch} 批已结算：{taps} 笔，{amount} 元",
    ),
    "nothing to settle": ("nothing to settle: pull first", "没有可结算的：请先采集"),
    "refused": ("{n} refused by the acquirer", "收单行拒绝 {n} 笔"),
    "office busy": ("the office is at it already", "办公室正在处理"),
    "trouble": ("that did not work", "没有成功"),
    "no taxi": ("the unit has no power", "设备没有通电"),
    "leave": ("bye", "再见"),
}

_CARDS: dict[str, str] = {
    "ecash": "电子现金卡，余额 500.00",
    "ecash-8-reads": "电子现金卡，8 条记录",
    "ecash-low": "余额只有 1.50 的卡",
    "expired": "已过期的卡",
    "phone": "手机：第一次要求解锁",
    "blocked": "已锁定的卡",
    "wrong-signature": "签名错误的卡",
    "wrong-hash": "扣款后才发现签名不符的卡",
    "unknown-ca": "没有对应公钥的卡",
    "dual": "双算法卡（国密与 RSA）",
    "oda-debit": "脱机预授权借记卡，无电子现金",
    "garbage": "乱答的卡",
    "hostile": "恶意的卡",
}


class Words:
    """`words("power")` in the seat's language; `words("reader busy", card=...)` fills in."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._index = 1 if language == "zh" else 0

    def __call__(self, name: str, **values: object) -> str:
        text = _WORDS[name][self._index]
        return text.format(**values) if values else text

    def card(self, name: str, summary: str) -> str:
        """One line on a bench card."""
        return _CARDS.get(name, summary) if self._index else summary
