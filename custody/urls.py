from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

handler404 = "custody.api.errors.answer_missing"

urlpatterns = [
    path("api/v1/", include("shipments.api_urls")),
    path("api/v1/", include("biometrics.api.urls")),
    path("api/v1/", include("custody.api.urls")),
    path("epcis/v2/", include("shipments.epcis.urls")),
    path("log/", include("ledger.urls")),
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("language/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("", include("shipments.urls")),
    path("", include("biometrics.urls")),
    path("", include("custody.views.urls")),
]
