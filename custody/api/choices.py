"""What a handoff is opened with: who may take custody, and where tags are read."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.roles import Capability
from biometrics.people import display_name
from custody.receivers import people_who_may_receive
from shipments.models import ReadPoint


class Receivers(APIView):
    """Everybody who is enrolled, or exempt from face comparison."""

    permission_classes = [requires(Capability.HAND_OFF)]

    def get(self, request: Request) -> Response:
        people = people_who_may_receive()
        return Response([{"id": person.pk, "name": display_name(person), "role": person.kind} for person in people])


class ReadPoints(APIView):
    permission_classes = [requires(Capability.HAND_OFF)]

    def get(self, request: Request) -> Response:
        return Response(
            [
                {"id": read_point.pk, "name": str(read_point), "sgln": read_point.sgln}
                for read_point in ReadPoint.objects.select_related("site")
            ]
        )
