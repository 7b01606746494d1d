from django.urls import path, re_path

from ledger import views

urlpatterns = [
    path("checkpoint", views.checkpoint, name="log-checkpoint"),
    re_path(r"^(?P<tile_path>tile/.*)\Z", views.tile, name="log-tile"),
    path("proof/<path:index>", views.proof, name="log-proof"),
    path("consistency", views.consistency, name="log-consistency"),
    # Everything else under here is answered in one short line: who asks is a program.
    re_path(r"^", views.nothing_here),
]
