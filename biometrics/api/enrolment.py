"""People through the API: the same services as on the screen, one call each. No name and no photo is answered."""

import uuid
from typing import Any, cast

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.consent import CURRENT_VERSION, ConsentGiven, withdraw_consent
from biometrics.enrolment import enrol_person
from biometrics.models import NEVER_REGISTERED, Person, PersonKind, Retention, Template
from biometrics.people import MAX_NAME, people_on_file, register_person


class ConsentFields(serializers.Serializer[Any]):
    language = serializers.CharField(max_length=8)
    text_version = serializers.CharField(max_length=16, default=CURRENT_VERSION)
    retention = serializers.ChoiceField(choices=Retention.choices, default=Retention.WHILE_ENGAGED)


class PersonFields(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=MAX_NAME)
    kind = serializers.ChoiceField(choices=[kind for kind in PersonKind.values if kind not in NEVER_REGISTERED])
    exempt = serializers.BooleanField(default=False)
    consent = ConsentFields(required=False)


class EnrolmentFields(serializers.Serializer[Any]):
    photos = serializers.ListField(child=serializers.FileField(allow_empty_file=True))
    document = serializers.FileField(allow_empty_file=True)


def describe(person: Person) -> dict[str, Any]:
    """Tell what stands between a person and a handoff; whoever has the identifier knows the name."""
    consent = person.consents.filter(withdrawn_at=None).first()
    template = person.templates.filter(active=True).first()
    return {
        "id": person.pk,
        "kind": person.kind,
        "exempt": person.exempt,
        "registered_at": person.registered_at,
        "consent": consent
        and {
            "id": consent.pk,
            "language": consent.language,
            "text_version": consent.text_version,
            "text_sha256": consent.text_sha256,
            "retention": consent.retention,
            "given_at": consent.given_at,
        },
        "template": template and _template(template),
        "duplicates": [
            {"id": review.pk, "state": review.state, "raised_at": review.raised_at}
            for review in person.duplicate_reviews.all()
        ],
    }


def _template(template: Template) -> dict[str, Any]:
    return {
        "id": template.pk,
        "version": template.version,
        "photos": template.k,
        "enrolled_at": template.created_at,
        "entry": template.statement.entry_id,
    }


class PersonView(APIView):
    permission_classes = [requires(Capability.MANAGE_PEOPLE)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def person(self, person_id: uuid.UUID) -> Person:
        return get_object_or_404(people_on_file(), pk=person_id)

    def user(self, request: Request) -> User:
        return cast(User, request.user)


class People(PersonView):
    """Register a person, with the consent that was recorded in the same act."""

    def post(self, request: Request) -> Response:
        fields = PersonFields(data=request.data)
        fields.is_valid(raise_exception=True)
        given = fields.validated_data.get("consent")
        person = register_person(
            name=fields.validated_data["name"],
            kind=fields.validated_data["kind"],
            exempt=fields.validated_data["exempt"],
            consent=ConsentGiven(**given) if given else None,
            registered_by=self.user(request),
        )
        return Response(describe(person), status=status.HTTP_201_CREATED)


class OnePerson(PersonView):
    permission_classes = [requires(Capability.SEE_PEOPLE)]

    def get(self, request: Request, person_id: uuid.UUID) -> Response:
        return Response(describe(self.person(person_id)))


class Enrolment(PersonView):
    """Enrol a person: ``photos`` (3 to 5 files) and ``document``, as multipart/form-data."""

    parser_classes = [MultiPartParser]

    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        fields = EnrolmentFields(data=request.data)
        fields.is_valid(raise_exception=True)
        template = enrol_person(
            person=self.person(person_id),
            photos=[photo.read() for photo in fields.validated_data["photos"]],
            document=fields.validated_data["document"].read(),
            enrolled_by=self.user(request),
        )
        return Response(_template(template), status=status.HTTP_201_CREATED)


class ConsentWithdrawal(PersonView):
    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        person = self.person(person_id)
        withdraw_consent(person=person, withdrawn_by=self.user(request))
        return Response(describe(person))
