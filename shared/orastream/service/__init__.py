"""What every service process needs: lifecycle, settings, logging, health, metrics, the streams kept."""
