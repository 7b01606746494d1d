"""A read point's page: what starts reading there by itself, which reads count, and what was read there lately."""

import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from accounts.access import capability_required
from accounts.roles import Capability
from refusals import Refusal
from shipments.models import Reader, ReadPoint, TriggerDoes, TriggerRule
from shipments.smoothing import MEDIAN, STRONGEST, Policy
from shipments.smoothing_policies import EPOCH_RANGE_MS, MOST_READS, policy_of, set_policy
from shipments.trigger_rules import LONGEST_GAP_MS, LONGEST_S, MOST_PORTS, add_trigger_rule, retire_trigger_rule

SESSIONS_SHOWN = 20
EVENTS_SHOWN = 5


class TriggerForm(forms.Form):
    reader = forms.ModelChoiceField(label=gettext_lazy("Reader"), queryset=Reader.objects.none(), empty_label=None)
    port = forms.IntegerField(
        label=gettext_lazy("Input"),
        min_value=0,
        max_value=MOST_PORTS,
        initial=1,
        help_text=gettext_lazy("As the reader numbers it (GPI)."),
    )
    on_high = forms.ChoiceField(
        label=gettext_lazy("When it goes high"), choices=TriggerDoes.choices, initial=TriggerDoes.OPEN
    )
    on_low = forms.ChoiceField(
        label=gettext_lazy("When it goes low"), choices=TriggerDoes.choices, initial=TriggerDoes.CLOSE
    )
    longest_s = forms.IntegerField(
        label=gettext_lazy("Ends at the latest after, seconds"), min_value=1, max_value=LONGEST_S, initial=300
    )
    min_gap_ms = forms.IntegerField(
        label=gettext_lazy("Shortest gap between changes, milliseconds"),
        min_value=0,
        max_value=LONGEST_GAP_MS,
        initial=500,
        help_text=gettext_lazy("A contact bounces: a change sooner than this counts only if it stays."),
    )

    def __init__(self, *args: Any, read_point: ReadPoint, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        readers = self.fields["reader"]
        assert isinstance(readers, forms.ModelChoiceField)
        readers.queryset = read_point.readers.all()


class PolicyForm(forms.Form):
    min_reads = forms.IntegerField(
        label=gettext_lazy("Reads that a tag needs"), min_value=1, max_value=MOST_READS, initial=1
    )
    min_rssi_dbm = forms.DecimalField(
        label=gettext_lazy("Least signal strength, dBm"),
        required=False,
        max_digits=5,
        decimal_places=2,
        min_value=-200,
        max_value=100,
        help_text=gettext_lazy("For instance -70. Empty: any strength counts."),
    )
    strength = forms.ChoiceField(
        label=gettext_lazy("That strength is of"),
        choices=[
            (STRONGEST, gettext_lazy("the tag’s strongest read")),
            (MEDIAN, gettext_lazy("the median of its reads")),
        ],
    )
    delta = forms.DecimalField(
        label=gettext_lazy("Chance of calling a present tag gone, per cent"),
        required=False,
        max_digits=4,
        decimal_places=2,
        min_value=Decimal("0.01"),
        max_value=Decimal("99.99"),
        help_text=gettext_lazy("For instance 5. Empty: it is not told when a tag came and left."),
    )
    epoch_ms = forms.IntegerField(
        label=gettext_lazy("Length of an epoch, milliseconds"),
        min_value=EPOCH_RANGE_MS[0],
        max_value=EPOCH_RANGE_MS[1],
        initial=500,
        help_text=gettext_lazy("How long the reader takes to ask for every tag about once."),
    )

    def policy(self) -> Policy:
        typed = self.cleaned_data
        return Policy(
            min_reads=typed["min_reads"],
            min_rssi_cdbm=_hundredths(typed["min_rssi_dbm"]),
            strength=typed["strength"],
            delta_e4=_hundredths(typed["delta"]),
            epoch_ms=typed["epoch_ms"],
        )


@require_GET
@capability_required(Capability.MANAGE_GOODS)
def read_point(request: HttpRequest, read_point_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(read_point_id))


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def add_trigger(request: HttpRequest, read_point_id: uuid.UUID) -> HttpResponse:
    found = _find(read_point_id)
    form = TriggerForm(request.POST, read_point=found)
    if not form.is_valid():
        return _show(request, found, trigger_form=form)
    try:
        rule = add_trigger_rule(read_point=found, **form.cleaned_data)
    except Refusal as refusal:
        return _show(request, found, trigger_form=form, refusal=refusal)
    messages.success(
        request, _("Input %(port)s of %(reader)s has its rule.") % {"port": rule.port, "reader": rule.reader.name}
    )
    return redirect("read_point", found.pk)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def retire_trigger(request: HttpRequest, read_point_id: uuid.UUID, rule_id: uuid.UUID) -> HttpResponse:
    rule = get_object_or_404(TriggerRule.objects.select_related("reader"), pk=rule_id, read_point=read_point_id)
    retire_trigger_rule(rule=rule)
    messages.success(
        request,
        _("Input %(port)s of %(reader)s does nothing any more.") % {"port": rule.port, "reader": rule.reader.name},
    )
    return redirect("read_point", read_point_id)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def smoothing(request: HttpRequest, read_point_id: uuid.UUID) -> HttpResponse:
    found = _find(read_point_id)
    form = PolicyForm(request.POST)
    if not form.is_valid():
        return _show(request, found, policy_form=form)
    try:
        set_policy(read_point=found, policy=form.policy())
    except Refusal as refusal:
        return _show(request, found, policy_form=form, refusal=refusal)
    messages.success(request, _("From now on these reads count at %(read_point)s.") % {"read_point": found.name})
    return redirect("read_point", found.pk)


def _find(read_point_id: uuid.UUID) -> ReadPoint:
    return get_object_or_404(ReadPoint.objects.select_related("site"), pk=read_point_id)


def _show(
    request: HttpRequest,
    found: ReadPoint,
    *,
    trigger_form: TriggerForm | None = None,
    policy_form: PolicyForm | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    sessions = found.read_sessions.select_related("consignment", "opened_by", "opened_by_trigger__rule__reader")
    page = Paginator(sessions, SESSIONS_SHOWN).get_page(request.GET.get("page"))
    rules = found.trigger_rules.filter(retired_at=None).select_related("reader")
    failed = refusal is not None or any(form is not None and form.errors for form in (trigger_form, policy_form))
    return render(
        request,
        "shipments/read_point.html",
        {
            "read_point": found,
            "rules": [(rule, rule.events.all()[:EVENTS_SHOWN]) for rule in rules],
            "readers": found.readers.all(),
            "trigger_form": trigger_form or TriggerForm(read_point=found),
            "policy_form": policy_form or PolicyForm(initial=_typed(policy_of(found))),
            "refusal": refusal,
            "page": page,
        },
        status=(refusal.status if refusal else 422) if failed else 200,
    )


def _typed(policy: Policy) -> dict[str, Any]:
    return {
        "min_reads": policy.min_reads,
        "min_rssi_dbm": None if policy.min_rssi_cdbm is None else Decimal(policy.min_rssi_cdbm) / 100,
        "strength": policy.strength,
        "delta": None if policy.delta_e4 is None else Decimal(policy.delta_e4) / 100,
        "epoch_ms": policy.epoch_ms,
    }


def _hundredths(value: Decimal | None) -> int | None:
    return None if value is None else int(value * 100)
